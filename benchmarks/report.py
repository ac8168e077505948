"""What was measured as text: a table, the limits, and the rows that fall short."""

from .peers import ORDER


def duration(seconds):
    for unit, size in (("s", 1), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9)):
        if seconds >= size or unit == "ns":
            return f"{seconds / size:.3g} {unit}"
    return ""


def line(found, names):
    """One row: our time, each peer's time as a multiple of ours, what part of a limit that is, what is missed."""
    ours = found["median"].get("hadamard")
    cells = [f"{found['row'][:42]:42}", f"{duration(ours) if ours else 'failed':>9}"]
    for name in names[1:]:
        ratio = found.get("ratio", {}).get(name)
        cells.append(f"{ratio:8.2f}" if ratio else f"{'-':>8}")
    part = max(found.get("of limit", {"": 0}).values(), default=0)
    cells.append(f"{part:6.2f}" if part else f"{'':6}")
    return " ".join(cells) + ("  < " + "; ".join(found["missed"]) if found["missed"] else "")


def heading(names):
    return f"{'':42} {names[0]:>9} " + " ".join(f"{name:>8}" for name in names[1:]) + "  limit"


def names_of(result):
    return [name for name in ORDER if name in result["versions"]]


def limits_line(limits):
    if not limits:
        return "limits not measured: no C compiler"
    return (
        f"limits: float32 {limits['fma f32'] / 1e9:.0f} GFLOP/s, float64 {limits['fma f64'] / 1e9:.0f}; "
        f"copy {limits['copy'] / 1e9:.1f} GB/s, read {limits['read'] / 1e9:.1f}; "
        f"fresh page {limits['page'] * 1e6:.2f} µs, of a huge one {limits['huge page'] * 1e6:.2f}"
    )


def table(result):
    names = names_of(result)
    machine = result["machine"]
    out = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}; threads: {result['threads']}",
        ", ".join(f"{name} {version}" for name, version in result["versions"].items()),
        limits_line(result["limits"]),
        "Times are ours; under a peer's name is how many times as long it takes (medians); limit: the part reached of",
        "the machine's multiply-adds or bandwidth, whichever is nearer.",
        "",
    ]
    group = None
    for found in result["rows"]:
        if found["group"] != group:
            group = found["group"]
            out += ["", f"-- {group}", heading(names)]
        out.append(line(found, names))
    return "\n".join(out) + "\n\n" + shortfall(result)


def shortfall(result):
    short = [found for found in result["rows"] if found["missed"]]
    out = [f"{len(short)} of {len(result['rows'])} rows fall short with {result['threads']} thread(s):"]
    out += [f"  {found['row']}: {'; '.join(found['missed'])}" for found in short]
    return "\n".join(out) + "\n"


def scaling(one, many, least_time=1e-4):
    """Rows that gain too little from threads, or lose: (name, speed-up)."""
    alone = {found["row"]: found["median"].get("hadamard") for found in one["rows"]}
    out = []
    for found in many["rows"]:
        before, after = alone.get(found["row"]), found["median"].get("hadamard")
        if before and after:
            bound = found.get("of limit", {}).get("fma", 0) > 0.3 and before > least_time
            gain = before / after
            if gain < (0.9 * many["threads"] if bound else 0.95):
                out.append((found["row"], gain))
    return out
