#!/usr/bin/env python3
"""Writes alerts.jsonl and control.jsonl: 40 customers, five weeks of alerts, and what people decided. All of it is made up."""
import json
import random
from datetime import datetime, timedelta
from pathlib import Path

SEED = 20260302
RULES = {  # rule: severity
    "volume-spike": "high", "refund-wave": "high", "odd-hours": "medium", "one-buyer": "medium", "tax-gap": "medium",
    "few-buyers": "low", "price-jump": "low", "cash-out": "high", "round-trip": "critical",
}
draw = random.Random(SEED)
start = datetime(2026, 3, 2)


def text(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


alerts, controls = [], []
for number in range(1, 41):
    customer = f"M{number:06d}"
    # A few customers have most of the alerts.
    for _ in range(draw.choice([1, 1, 2, 3, 8])):
        rule = draw.choice(list(RULES))
        time = start + timedelta(seconds=draw.randrange(35 * 86400))
        ends = time + timedelta(seconds=draw.randrange(600, 6 * 86400))
        states = [("raised", time)] * draw.choice([1, 1, 1, 2]) + [("cleared", ends)] * draw.choice([0, 1, 1])
        for state, at in states:
            alerts.append({
                "alert_id": f"{draw.getrandbits(128):032x}", "topology": "marketplace", "rule": rule, "risk": rule,
                "severity": RULES[rule], "state": state, "revision": 1 if state == "raised" else 2,
                "key": {"merchant_id": customer}, "customer": customer, "event_time": text(at)})
    if draw.random() < 0.2:
        time = start + timedelta(seconds=draw.randrange(35 * 86400))
        action = draw.choice(["suppress", "snooze", "resume"])
        controls.append({
            "customer": customer, "action": action, "item": draw.choice(list(RULES)) if action == "suppress" else None,
            "until": text(time + timedelta(days=3)) if action != "resume" else None,
            "reason": draw.choice(["a sale that was announced", "papers are in order", "under audit"]),
            "owner": draw.choice(["li.wei", "chen.yu"]), "decided_at": text(time)})

folder = Path(__file__).parent
for name, records, field in [("alerts", alerts, "event_time"), ("control", controls, "decided_at")]:
    records.sort(key=lambda record: record[field])
    lines = [json.dumps(record, separators=(",", ":")) + "\n" for record in records]
    (folder / f"{name}.jsonl").write_text("".join(lines))
