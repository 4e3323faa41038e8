# Wrote Fixtures with grpcio-tools and protobuf, in that folder:
#   python -m grpc_tools.protoc -I. --include_imports --descriptor_set_out=shop.desc --python_out=/tmp orders.proto old.proto
#   PYTHONPATH=/tmp python ../fixtures.py
import json, random
import old_pb2, orders_pb2

r = random.Random(5)
rows = []
for i in range(40):
    m = orders_pb2.Order()
    full = i % 4 != 0
    cents = r.choice([0, 1, -1, r.randrange(-10**15, 10**15)])
    m.cents = cents
    if full: m.order_id = "单%d" % i
    ms = 1683000000000 + i * 1001
    m.event_time.seconds, m.event_time.nanos = ms // 1000, ms % 1000 * 10**6 + 999
    m.status = [0, 1, -2][i % 3]
    weight = [0.0, 0.1, 12.34, -3.5][i % 4]
    m.weight = weight
    share = [0.1, 0.0, 2.5][i % 3]
    m.share = share
    m.vip = i % 2 == 1
    name = age = parent = None
    if i % 5:
        m.customer.name = name = "" if i % 7 == 0 else "c%d" % i
        if i % 2: m.customer.age = age = i % 3
        if i % 3 == 0: m.customer.parent.name = parent = "p"
    note = None
    if i % 3 == 1:
        note = "" if i % 2 else "note"
        m.note.value = note
    took = None
    if i % 6 == 2:
        m.took.seconds, m.took.nanos = 3, 250 * 10**6
        took = "3250"
    m.big = r.choice([0, 2**63 - 1, 5])
    m.f32, m.s64, m.neg = r.randrange(2**32), r.randrange(-2**63, 2**63), r.choice([0, -1, -2**31, 7])
    for k in range(i % 3): m.tags.append("t")
    m.attrs["a"] = i
    card = account = None
    if i % 3 == 1: m.card = card = ""
    if i % 3 == 2: m.account = 0; account = "0"
    m.millis = ms
    m.raw = b"abc"
    m.amount = "12.50"
    rows.append({"hex": m.SerializeToString(deterministic=True).hex(), "values": [
        m.order_id, str(cents), str(ms), ["NEW", "PAID", "GONE"][i % 3], "%.2f" % weight, "%.1f" % share,
        "1" if m.vip else "0", name, None if age is None else str(age), parent, note, took, str(m.big), str(m.f32),
        str(m.s64), str(m.neg), card, account, str(ms), "abc", "12.50"]})
old = []
for fields in ({}, {"pieces": 1}, {"kind": "app"}, {"vip": False}, {"rate": 2.25}, {"mode": 1}, {"plain": 3}):
    m = old_pb2.Row(id="x", **fields)
    if "plain" in fields: m.extra.z = 4
    old.append({"hex": m.SerializeToString().hex(), "values": [
        m.id, str(m.pieces), m.kind, "1" if m.vip else "0", "%.2f" % m.rate, "AB"[m.mode - 1],
        str(m.plain) if m.HasField("plain") else None]})
json.dump(rows, open("orders.json", "w"), ensure_ascii=False)
json.dump(old, open("old.json", "w"))
