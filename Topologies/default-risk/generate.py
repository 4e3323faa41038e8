"""Makes a marketplace whose loans default for a reason: merchants in trouble sell less from week to week, at odder prices, get
more returned, log in less, break more rules and pay out more than comes in; some of them get by, some others do not.
    generate.py FOLDER [merchants 400] [days 120] [seed 1] [shift 0]
Writes orders, activity, flows and shops as JSON lines, in the order of time, and labels.csv: merchant_id,as_of,label.
`shift`: from this share of the days on, prices are 2.5 times what they were, for drift.
"""
import json, math, os, random, sys
from datetime import datetime, timedelta, timezone

folder = sys.argv[1]
merchants, days, seed, shift = (int(a) if i < 3 else float(a) for i, a in enumerate((sys.argv[2:] + [400, 120, 1, 0][len(sys.argv) - 2:])))
rng = random.Random(seed)
start = datetime(2026, 1, 1, tzinfo=timezone.utc)
orders, activity, flows, shops, labels = [], [], [], [], []


def iso(day, second):
    return (start + timedelta(days=day, seconds=second)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def count(mean):
    n, p, limit = 0, rng.random(), math.exp(-mean)
    while p > limit:
        n, p = n + 1, p * rng.random()
    return n


for m in range(merchants):
    name = f"M{m:04d}"
    base, price = rng.uniform(0.7, 3), rng.uniform(20, 200)
    rating = min(5, max(1, rng.gauss(4.2, 0.4)))
    trouble = rng.randrange(30, days) if rng.random() < 0.4 else None
    loan = rng.randrange(35, days)
    stock = price * base * rng.uniform(20, 60)
    shops.append((0, {"merchant_id": name, "rating": round(rating, 1), "stock": round(stock, 2), "event_time": iso(0, 0)}))
    for day in range(days):
        depth = 0 if trouble is None else min(1, max(0, (day - trouble) / 25))
        rate = base * (1 - 0.6 * depth) * (1.3 if day % 7 in (4, 5) else 0.9)
        factor = 2.5 if shift and day >= shift * days else 1
        sold = 0
        for _ in range(count(rate)):
            second = rng.uniform(0, 86399)
            amount = max(0.5, price * factor * math.exp(rng.gauss(0, 0.3 + 0.5 * depth)))
            sold += amount
            orders.append((day + second / 86400, {"order_id": f"{name}-{len(orders)}", "merchant_id": name, "kind": "paid", "amount": round(amount, 2), "event_time": iso(day, second)}))
            if rng.random() < 0.06 + 0.15 * depth:
                later = second + rng.uniform(3600, 200000)
                if day + later / 86400 < days:
                    orders.append((day + later / 86400, {"order_id": f"{name}-{len(orders)}", "merchant_id": name, "kind": "refunded", "amount": round(amount, 2), "event_time": iso(day, later)}))
        for kind, mean in [("login", 1.2 - 0.7 * depth), ("listing", 0.3 - 0.2 * depth), ("violation", 0.02 + 0.12 * depth)]:
            for _ in range(count(mean)):
                second = rng.uniform(0, 86399)
                activity.append((day + second / 86400, {"merchant_id": name, "kind": kind, "event_time": iso(day, second)}))
        if day % 3 == 0:
            for sign in (1, -1):
                second = rng.uniform(0, 86399)
                amount = price * base * 3 * rng.uniform(0.7, 1.3) * ((1 - 0.4 * depth) if sign > 0 else 0.8 + 0.4 * depth)
                flows.append((day + second / 86400, {"merchant_id": name, "amount": round(sign * amount, 2), "event_time": iso(day, second)}))
        if rng.random() < 0.02:
            rating = min(5, max(1, rating + rng.gauss(0, 0.1) - 0.3 * depth))
            shops.append((day + 0.5, {"merchant_id": name, "rating": round(rating, 1), "stock": round(stock, 2), "event_time": iso(day, 43200)}))
        if day == loan:
            chance = 1 / (1 + math.exp(-(-3 + 4.5 * depth + 1.2 * (4.2 - rating))))
            labels.append((name, iso(day, 86399), int(rng.random() < chance)))

os.makedirs(folder, exist_ok=True)
for file, rows in [("orders", orders), ("activity", activity), ("flows", flows), ("shops", shops)]:
    with open(f"{folder}/{file}.jsonl", "w") as out:
        for _, row in sorted(rows, key=lambda r: r[0]):
            out.write(json.dumps(row, separators=(",", ":")) + "\n")
with open(f"{folder}/labels.csv", "w") as out:
    out.write("merchant_id,as_of,label\n")
    for row in sorted(labels, key=lambda r: r[1]):
        out.write(",".join(map(str, row)) + "\n")
