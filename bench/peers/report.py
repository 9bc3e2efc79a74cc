"""report.py: rows as Markdown, as they come and as one table. Standard library only."""


def spread(triple, digits=3):
    return f"{triple[0]:.{digits}g} ({triple[1]:.{digits}g}–{triple[2]:.{digits}g})"


def ratio(row, key):
    return f"{row[key][0]:.2f} ({row[key][1]:.2f}–{row[key][2]:.2f})" if key in row else ""


def machine_lines(machine):
    versions = ", ".join(f"{name} {version or 'is missing'}" for name, version in machine["versions"].items())
    return [
        f"{machine['cpu']}, flags {' '.join(machine['flags']) or 'none of note'}, pinned to processors "
        f"{', '.join(map(str, machine['cores']))}; load average at the start {machine['load_average']:.1f}.",
        f"rung {machine['commit']} ({machine['rung']}); Python {machine['python']}, {versions}.",
    ]


LATENCY_HEAD = [
    "| shape | threads | tokens | engine | ms: median of rounds (10–90 %) | least | ÷ rung int8 | ÷ rung fp32 |",
    "|---|---|---|---|---|---|---|---|",
]


def latency_line(row):
    begin = f"| {row['shape']} | {row['threads']} | {row.get('tokens', 'all')} | {row['engine']} "
    if "failed" in row:
        return begin + f"| not measured: {row['failed']} | | | |"
    times = spread((row["ms"], row["p10_ms"], row["p90_ms"]))
    if "share" in row:
        times += f", {100 * row['share']:.0f} % of peak"
    return begin + f"| {times} | {row['least_ms']:.3g} | {ratio(row, 'over_rung-int8')} | {ratio(row, 'over_rung-fp32')} |"


def compact(rows):
    """Medians with the ratio to rung of int8 beside: a line for each shape, thread count and engine, a column a length."""
    rows = [row for row in rows if "ms" in row]
    lengths = sorted({row["tokens"] for row in rows})
    lines = ["| shape, threads, engine | " + " | ".join(map(str, lengths)) + " |", "|---" * (len(lengths) + 1) + "|"]
    for name in dict.fromkeys((row["shape"], row["threads"], row["engine"]) for row in rows):
        found = {row["tokens"]: row for row in rows if (row["shape"], row["threads"], row["engine"]) == name}
        cells = []
        for length in lengths:
            row = found.get(length)
            times = f" ×{row['over_rung-int8'][0]:.2f}" if row and "over_rung-int8" in row else ""
            cells.append(f"{row['ms']:.3g}{times}" if row else "")
        lines.append(f"| {name[0]}, {name[1]}, {name[2]} | " + " | ".join(cells) + " |")
    return lines


TEXTS_HEAD = [
    "| threads | engine | at its best | texts/s: median of rounds (10–90 %) | rung ÷ this | labels as in fp32 |",
    "|---|---|---|---|---|---|",
]


def texts_line(row):
    variant = row.get("variant", "")
    if "share" in row:
        variant += f", {100 * row['share']:.0f} % of peak"
    begin = f"| {row['threads']} | {row['engine']} | {variant} "
    if "failed" in row:
        return begin + f"| not measured: {row['failed']} | | |"
    speed = spread((row["texts_per_s"], row["p10_texts_per_s"], row["p90_texts_per_s"]))
    agreement = f"{100 * row['label_agreement']:.1f} %" if "label_agreement" in row else ""
    return begin + f"| {speed} | {ratio(row, 'rung_over')} | {agreement} |"
