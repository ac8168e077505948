"""The one list of what differs over torch's database of operators: (operators, aspect, dtypes, reason).

Strict: what is listed here and does not differ fails. "errors" stands for the database's own wrong calls.
"""

KNOWN: list[tuple[str, str, str, str]] = []
