#!/usr/bin/env python3
"""Prints the tables of README.md from the report of `legonf experiment detectors --json`: table.py REPORT.json

Gaps are to the best single detector of a comparison. The first is to the best of those that stand alone in the literature, KitNET included;
the one in brackets counts the ensemble's own member log-pca as well.
"""
import json
import sys

NEAR = 0.01
LOG_PCA = "log-pca"
ENSEMBLE = "ensemble"


def spread(reports, name):
    """Worst and mean gap, and how many are near, to both kinds of best; mean TPR at 0.1% and at 1%; time by that of KitNET."""
    rows = [{entry["detector"]: entry for entry in report["detectors"]} for report in reports]
    cells = [name]
    gaps = []
    for left_out in ({ENSEMBLE, LOG_PCA}, {ENSEMBLE}):
        best = [max(e["auc"] for n, e in row.items() if n not in left_out) for row in rows]
        gaps.append([max(b - row[name]["auc"], 0.0) for b, row in zip(best, rows)])
    for value in (max, lambda g: sum(g) / len(g), lambda g: sum(x <= NEAR for x in g)):
        literature, all_of_them = (value(g) for g in gaps)
        form = "{}" if isinstance(literature, int) else "{:.3f}"
        cells.append(f"{form.format(literature)} ({form.format(all_of_them)})")
    for rate in ("tpr_at_0_1_percent", "tpr_at_1_percent"):
        cells.append(f"{sum(row[name][rate] for row in rows) / len(rows):.2f}")
    ratios = sorted(row[name]["ns_a_packet"] / row["kitnet"]["ns_a_packet"] for row in rows)
    cells.append(f"{ratios[len(ratios) // 2]:.2f}")
    return "| " + " | ".join(cells) + " |"


report = json.load(open(sys.argv[1]))
names = [entry["detector"] for entry in report["reports"][0]["detectors"]]
for warm in (True, False):
    reports = [r for r in report["reports"] if r["warm"] == warm]
    if not reports:
        continue
    print(f"| {'warm' if warm else 'cold'} ({len(reports)}) | worst gap | mean gap | within .01 | TPR at 0.1% | TPR at 1% | time by KitNET's |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name in names:
        print(spread(reports, name))
    print()
print("| capture | training | benign / malicious | " + " | ".join(names) + " |")
print("|---|---:|---:|" + "---:|" * len(names))
for r in report["reports"]:
    cells = " | ".join(f"{e['auc']:.3f} ({e['tpr_at_1_percent']:.2f})" for e in r["detectors"])
    print(f"| {r['capture']} | {r['training_packets']} | {r['benign']} / {r['malicious']} | {cells} |")
