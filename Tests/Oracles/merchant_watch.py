#!/usr/bin/env python3
"""The alerts of Topologies/merchant-watch for CSV files, computed the plain way: every record is kept, every
window is a sum over all records of its key. Independent of the engine; slow on purpose.

usage: merchant_watch.py FILE... > alerts.jsonl     (rule, customer, state, event_time, in the engine's order)
"""
import bisect
import csv
import datetime
import gzip
import json
import sys
from decimal import Decimal
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")
UTC = datetime.timezone.utc
SPIKE, FLOOR, REFUND_SHARE, NIGHT_SHARE, BURST = Decimal(5), Decimal(100), Decimal("0.3"), Decimal("0.5"), Decimal(2000)


def day_start(day):
    return int(datetime.datetime.combine(day, datetime.time(), LONDON).timestamp())


class Key:
    def __init__(self):
        self.times, self.records, self.sales = [], [], []   # sales: (time, amount, invoice)
        self.raised = {}

    def window_sales(self, start, end):
        return [s for s in self.sales if start <= s[0] < end]

    def today(self, day):
        start, end = day_start(day), day_start(day + datetime.timedelta(days=1))
        lines = [r for r in self.records if start <= r["time"] < end]
        good = [r for r in lines if not r["refund"]]
        return {
            "amount": sum((r["amount"] for r in good), Decimal(0)),
            "refunded": -sum((r["amount"] for r in lines if r["refund"]), Decimal(0)),
            "lines": len(good),
            "night": sum(1 for r in good if not 8 <= r["hour"] <= 17),
            "invoices": len({r["invoice"] for r in lines}),
            "any": bool(lines),
        }

    def baseline(self, day):
        first = day - datetime.timedelta(days=30)
        sales = self.window_sales(day_start(first), day_start(day))
        if not sales:
            return None
        oldest = datetime.datetime.fromtimestamp(min(s[0] for s in sales), LONDON).date()
        days = (day - oldest).days
        total = sum((s[1] for s in sales), Decimal(0))
        return {"daily": (total / days).quantize(Decimal("0.001")), "days": days}

    def burst(self, time):
        end5, end60 = (time // 10 + 1) * 10, (time // 60 + 1) * 60
        five = sum((s[1] for s in self.window_sales(end5 - 300, end5)), Decimal(0))
        hour = self.window_sales(end60 - 3600, end60)
        total = sum((s[1] for s in hour), Decimal(0))
        return five, total, len(hour)


def main(paths):
    keys, out = {}, []

    def emit(rule, key, state, time):
        stamp = datetime.datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        out.append({"rule": rule, "customer": key, "state": state, "event_time": stamp})

    def edge(rule, name, key, when, clear, time):
        if key.raised.get(rule):
            if clear:
                key.raised[rule] = False
                emit(rule, name, "cleared", time)
        elif when:
            key.raised[rule] = True
            emit(rule, name, "raised", time)

    def spike(name, key, day, time, may_raise):
        t, b = key.today(day), key.baseline(day)
        when = b is not None and t["amount"] > SPIKE * b["daily"] and b["daily"] > FLOOR and b["days"] >= 7
        clear = b is not None and t["amount"] < 3 * b["daily"]
        edge("volume-spike", name, key, when and may_raise, clear, time)

    def bursts(name, key, time, may_raise):
        five, hour, lines = key.burst(time)
        when = five > BURST and five > Decimal("0.9") * hour and lines >= 6
        edge("burst", name, key, when and may_raise, five < BURST / 2, time)

    def pass_time(last, now):
        """Everything that the passing of time from `last` to `now` does, boundary by boundary."""
        if last is None:
            return
        boundaries = set()
        day = datetime.datetime.fromtimestamp(last, LONDON).date()
        while day_start(day) <= now:
            if day_start(day) > last:
                boundaries.add(day_start(day))
            day += datetime.timedelta(days=1)
        if any(k.raised.get("burst") for k in keys.values()):
            boundaries.update(range((last // 10 + 1) * 10, min(now, last + 7200) + 1, 10))
        for time in sorted(boundaries):
            today = datetime.datetime.fromtimestamp(time, LONDON).date()
            closed = today - datetime.timedelta(days=1)
            is_midnight = day_start(today) == time
            for name, key in keys.items():
                if is_midnight:
                    t = key.today(closed)
                    known = t["any"]
                    wave = t["refunded"] > REFUND_SHARE * t["amount"] and t["invoices"] >= 3 and t["refunded"] > 100
                    edge("refund-wave", name, key, known and wave, not wave, time)
                    odd = t["night"] > NIGHT_SHARE * t["lines"] and t["lines"] >= 20
                    edge("odd-hours", name, key, known and odd, not odd, time)
                    if key.raised.get("volume-spike"):
                        spike(name, key, today, time, False)
                if key.raised.get("burst"):
                    bursts(name, key, time, False)

    last = None
    for path in paths:
        opener = gzip.open if path.endswith(".gz") else open
        with opener(path, "rt", newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                local = datetime.datetime.strptime(row["InvoiceDate"], "%Y-%m-%d %H:%M:%S")
                time = int(local.replace(tzinfo=LONDON).timestamp())
                pass_time(last, time)
                last = time if last is None else max(last, time)
                key = keys.setdefault(row["Country"], Key())
                refund = row["InvoiceNo"].startswith("C")
                amount = Decimal(row["UnitPrice"]) * int(row["Quantity"])
                key.records.append(
                    {"time": time, "amount": amount, "refund": refund, "hour": local.hour, "invoice": row["InvoiceNo"]})
                if not refund:
                    key.sales.append((time, amount, row["InvoiceNo"]))
                spike(row["Country"], key, local.date(), time, True)
                if not refund:
                    bursts(row["Country"], key, time, True)
    if last is not None:
        pass_time(last, last + 40 * 86400)
    for line in out:
        print(json.dumps(line))


main(sys.argv[1:])
