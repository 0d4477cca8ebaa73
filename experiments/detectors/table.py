#!/usr/bin/env python3
"""Prints the tables of README.md from the report of `legonf experiment detectors --json`: table.py REPORT.json"""
import json
import sys

report = json.load(open(sys.argv[1]))
for name in ("warm", "cold"):
    spreads = report[name]
    if not spreads:
        continue
    print(f"| {name} ({spreads[0]['comparisons']}) | worst gap | mean gap | within .01 | TPR at 0.1% | TPR at 1% | ns a packet |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for s in spreads:
        print(
            f"| {s['detector']} | {s['worst_gap']:.3f} | {s['mean_gap']:.4f} | {s['near_best']} |"
            f" {s['tpr_at_0_1_percent']:.2f} | {s['tpr_at_1_percent']:.2f} | {s['ns_a_packet']:.0f} |"
        )
    print()
names = [entry["detector"] for entry in report["reports"][0]["detectors"]]
print("| capture | training | benign / malicious | " + " | ".join(names) + " |")
print("|---|---:|---:|" + "---:|" * len(names))
for r in report["reports"]:
    cells = " | ".join(f"{e['auc']:.3f} ({e['tpr_at_1_percent']:.2f})" for e in r["detectors"])
    print(f"| {r['capture']} | {r['training_packets']} | {r['benign']} / {r['malicious']} | {cells} |")
