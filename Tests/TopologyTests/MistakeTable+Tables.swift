/// A topology with tables, in which each test makes one mistake.
let tableBase = #"""
    topology: risk
    sources:
      orders:
        kafka: { topic: orders }
        time: { field: at }
        schema: { id: text, merchant: text, buyer: int, at: timestamp }
      registry:
        kafka: { topic: registry }
        time: { field: since, out_of_order: 1h }
        table: { key: merchant, versions: 30d }
        schema: { merchant: text, city: text, since: timestamp, big: { from: "city == 'X'" } }
      limits:
        redis: { key: "limits:{merchant}", stale: 10m, timeout: 20ms }
        table: { key: merchant }
        schema: { merchant: text, most: decimal(2) }
    steps:
      seen:
        from: orders
        join: { table: registry, on: merchant, kind: left, select: [city, big] }
        where: registry.found and registry.city != "Y"
      bounded: { from: seen, key: merchant, join: { table: limits, on: merchant, as: l } }
    rules:
      low: { on: bounded, when: l.most < 5.00 or registry.big, risk: r, severity: low }
    sinks:
      alerts: { kafka: { topic: alerts } }

    """#

let tableMistakes = #"""
    - table: { key: merchant, versions
    + table: { kye: merchant, versions
    10:14: table has no 'kye'; did you mean 'key'?

    - table: { key: merchant, versions
    + table: { key: merchnt, versions
    10:19: no field 'merchnt' in the schema; did you mean 'merchant'?

    - table: { key: merchant, versions
    + table: { key: big, versions
    10:19: the key of a table must stand in its records, and 'big' is computed

    - versions: 30d
    + versions: 30
    10:39: '30' has no unit; durations are written like 10s, 5m, 2h, 30d

    - versions: 30d
    + broadcast: yes
    10:40: broadcast must be true or false, not 'yes'

    - { topic: registry }
    + { topic: registry, start: latest }
    8:38: a table is read from its beginning; take start out

    - { topic: registry }
    + { topic: registry }⏎    key: city
    9:10: 'city' is not in the table's key: records of one key would lie in several partitions

    - { topic: registry }⏎    time: { field: since, out_of_order: 1h }⏎    table: { key: merchant
    + { topic: registry }⏎    key: merchant⏎    time: { field: since, out_of_order: 1h }⏎    table: { key: merchant, broadcast: true
    9:5: it does not matter how the topic of a broadcast table is partitioned; take key out

    - kafka: { topic: registry }
    + generate: { rate: 1, merchants: 5, seed: 1 }
    10:5: a table comes from kafka, file or redis; source registry generates

    - city: text, since
    + city: text, _deleted: bool, since
    11:5: '_deleted' is the mark of records that delete their key, which every table has; take it out of the schema

    - stale: 10m
    + stale: 0s
    13:47: stale must be at least 1ms

    - limits:{merchant}
    + limits:{merchnt}
    13:28: the table has no key field 'merchnt'; did you mean 'merchant'?

    - limits:{merchant}
    + limits
    13:19: the key leaves out 'merchant', so different keys would share one entry; write {merchant} in it

    -     table: { key: merchant }⏎
    + 
    13:5: source limits lies in Redis and can only be a table; write table: { key: merchant_id }

    - table: { key: merchant }
    + table: { key: merchant, versions: 1d }
    14:29: versions is for tables in Kafka; rows in Redis are as of now

    - table: { key: merchant }
    + table: { key: merchant }⏎    time: { field: at }
    15:5: time is for tables in Kafka; rows in Redis are as of now
    15:20: no field 'at' in the schema

    -     from: orders⏎
    +     from: registry⏎
    18:11: 'registry' is a table, which is looked up; write join: { table: registry, on: … }

    - table: registry, on
    + table: registri, on
    19:20: no table 'registri'; did you mean 'registry'?

    - table: registry, on
    + table: orders, on
    19:20: 'orders' is no table; write table: { key: … } in its source, or join: { stream: orders, … }

    - on: merchant, kind
    + on: merchnt, kind
    19:34: no field of orders 'merchnt'; did you mean 'merchant'?

    - on: merchant, kind
    + on: buyer, kind
    19:34: 'buyer' is int, and 'merchant', the key of registry, is text

    - on: merchant, kind
    + on: [merchant, id], kind
    19:35: the key of registry is merchant; name as many fields of orders, in that order

    -  on: merchant, kind
    +  kind
    19:5: join needs 'on'; write join: { table: registry, on: merchant_id }

    - kind: left
    + kind: outer
    19:50: kind must be inner or left, not 'outer'

    - select: [city, big]
    + select: [citty, big]
    19:65: registry has no field 'citty' beside its key; did you mean 'city'?

    - select: [city, big]
    + select: [merchant]
    19:65: registry has no field 'merchant' beside its key; known: city, since, big

    - registry.found and
    + registry.fuond and
    20:12: no field of orders 'registry.fuond'; did you mean 'registry.found'?

    - as: l }
    + as: 5 }
    21:82: '5' is no name for a joined table; names have letters, digits, _ and -, and begin with a letter

    - table: limits, on: merchant, as: l
    + table: registry, on: merchant
    21:41: seen has a field 'registry.city' already; give the table another name with as: other

    - kafka: { topic: orders }
    + kafka: { topic: orders }⏎    key: id
    18:3: warning: step 'seen' joins the table 'registry' on merchant, and its records are partitioned by id: with several partitions they would not meet; write table: { ..., broadcast: true } in 'registry', or key: merchant in the source if its producers use that
    """#
