"""The one list of known differences from torch: a test's name (or a pattern of names) and why it is so.

Strict: a test listed here that passes is an error.
"""

import fnmatch


class Pattern(str):
    def matches(self, name):
        return fnmatch.fnmatchcase(name.replace("[", "<").replace("]", ">"), self.replace("[", "<").replace("]", ">"))


KNOWN = {Pattern(name): reason for name, reason in {}.items()}
