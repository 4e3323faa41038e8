/// Changes anywhere in `mistakeBase`.
let topologyMistakes = #"""
    - topology: risk
    + topology: risk⏎topology: risk2
    2:1: 'topology' is given twice; the first is in line 1

    - latency: 3s
    + latency: &x 3s
    2:10: anchors (&name) are not allowed; put a text that begins with & in quotes

    - latency: 3s
    + latency: *x
    2:10: aliases (*name) are not allowed; put a text that begins with * in quotes

    - latency: 3s
    + latency: !!str 3s
    2:10: tags (!name) are not allowed; put a text that begins with ! in quotes

    - latency: 3s
    + latency: 3s⏎---
    3:1: a second document begins here; a file holds one, so take out the '---' line

    - { topic: orders }
    + { topic: orders
    7:9: did not find expected ',' or '}'; inside { } and [ ] a text with , [ ] { } must be in quotes

    -     from: orders⏎    where
    +     from: orders⏎   where
    20:4: did not find expected key; check the indentation of this line

    -     kafka: { topic: orders }
    + ⇥kafka: { topic: orders }
    6:1: a tab or another character that YAML does not allow here; indent with spaces

    -       fee: decimal(4)
    +       fee: { type: decimal(4), from: `Fee €` }
    13:38: a text that begins with a backtick must be in quotes, like "`Invoice No`"

    - latency: 3s
    + latency: 3s: 4s
    2:12: a second ': ' in one line; check the indentation, or put the text in quotes

    - topology: risk⏎
    + 
    1:1: the topology needs 'topology'; write topology: merchant-risk

    - topology: risk
    + topology: Risk_1
    1:11: 'Risk_1' is no name for a topology; it has a-z, 0-9 and -, and begins with a letter

    - latency: 3s
    + latencey: 3s
    2:1: the topology has no 'latencey'; did you mean 'latency'?

    - latency: 3s
    + latency: 3
    2:10: '3' has no unit; durations are written like 10s, 5m, 2h, 30d

    - latency: 3s
    + latency: 3sec
    2:10: unknown unit in '3sec'; durations are written like 10s, 5m, 2h, 30d

    - latency: 3s
    + latency: soon
    2:10: 'soon' is no duration; durations are written like 10s, 5m, 2h, 30d

    - latency: 3s
    + latency: 0s
    2:10: latency must be at least 1ms

    - latency: 3s
    + latency: [3s]
    2:10: latency needs a value, not a list; write 10s

    - latency: 3s
    + latency:
    2:9: latency needs a value, not nothing; write 10s

    - latency: 3s
    + latency: 999999d
    2:10: '999999d' is too long; the longest duration is 365000d

    - latency: 3s
    + guarantee: exactly_once
    2:12: guarantee must be exactly-once or at-least-once, not 'exactly_once'

    - latency: 3s
    + zone: Asia/Shangai
    2:7: no time zone 'Asia/Shangai'; did you mean 'Asia/Shanghai'?

    - latency: 3s
    + keys: many
    2:7: keys must be a whole number from 1 to 1000000000, not 'many'; write keys: 1000000

    - latency: 3s
    + kafka: 5
    2:8: kafka needs a mapping, not a value; write kafka: { linger.ms: 5 }

    - ${spike}
    + ${spke}
    38:24: no parameter 'spke'; did you mean 'spike'?

    - ${spike}
    + 5
    3:15: warning: the parameter 'spike' is not used; write ${spike} where its value belongs

    - ${spike}
    + ${spike
    38:24: '${' is not closed; write ${name}

    - ${spike}
    + ${env:NOPE}
    38:24: the environment variable 'NOPE' is not set

    - ${spike}
    + ${file:/nope}
    38:24: the file '/nope' cannot be read, or is larger than 64 KiB

    - ${spike}
    + ${env:SECRET}
    38:24: 'sums.total > ${env:SECRET} * days.total' is wrong once its values are put in, which are not shown

    - { spike: 5 }
    + { spike: { description: x } }
    3:15: parameter spike has no default; give --set spike=VALUE, or write default: 5

    - { spike: 5 }
    + { spike: { defualt: 5 } }
    3:24: parameter spike has no 'defualt'; did you mean 'default'?

    - { spike: 5 }
    + { spike: 5, x: "${spike}" }
    3:29: a parameter cannot refer to another one; only ${env:NAME} and ${file:/path} are known here

    - { spike: 5 }
    + { spike: [5] }
    3:22: spike needs a value, not a list; write spike: 5

    -     kafka: { topic: orders }⏎
    + 
    5:3: source orders needs one of kafka, file, generate and redis, not none; write kafka: { topic: orders }

    -     kafka: { topic: orders }
    +     kafka: { topic: orders }⏎    file: { path: x }
    7:5: source orders needs one of kafka, file, generate and redis, not kafka and file; write kafka: { topic: orders }

    - { topic: orders }
    + { topc: orders }
    6:14: kafka has no 'topc'; did you mean 'topic'?

    - { topic: orders }
    + { topic: or/ders }
    6:21: 'or/ders' is no topic name; Kafka takes letters, digits, '.', '_' and '-', at most 249

    - { topic: orders }
    + { topic: orders, start: begin }
    6:36: start must be earliest or latest, not 'begin'

    -     kafka: { topic: orders }
    +     generate: { rate: 0, merchants: 5 }
    6:5: generate needs 'seed'; write generate: { rate: 1000, merchants: 500, seed: 1 }
    6:23: rate must be a whole number from 1 to 10000000, not '0'; write generate: { rate: 1000, merchants: 500, seed: 1 }

    -     kafka: { topic: orders }
    +     kafka: { topic: orders }⏎    format: xml
    7:13: format must be json, csv, tsv, debezium, canal, maxwell, connect, cloudevents, avro or protobuf, not 'xml'

    -     time: { field: at, out_of_order: 2s, idle: 500ms }⏎
    + 
    5:3: source orders needs 'time'; write time: { field: event_time, out_of_order: 2s, idle: 5s }

    - kafka: { topic: orders }
    + kafka: { topic: orders }⏎    key: merchnt
    7:10: no field 'merchnt' in the schema; did you mean 'merchant'?

    - kafka: { topic: orders }
    + kafka: { topic: orders }⏎    key: [merchant, merchant]
    7:21: 'merchant' is named twice

    - kafka: { topic: orders }
    + kafka: { topic: orders }⏎    key: []
    7:10: key is an empty list; write key: merchant_id

    - kafka: { topic: orders }
    + file: { path: orders.csv }⏎    key: merchant
    7:5: key says how a Kafka topic is partitioned, and source orders reads none

    - field: at,
    + field: att,
    7:20: no field 'att' in the schema; did you mean 'at'?

    - field: at,
    + field: amount,
    7:20: the time must be a timestamp, and 'amount' is decimal(2)

    - out_of_order: 2s
    + out_of_order: -2s
    7:38: '-2s' is no duration; durations are written like 10s, 5m, 2h, 30d

    - out_of_order: 2s
    + out_of_orders: 2s
    7:24: time has no 'out_of_orders'; did you mean 'out_of_order'?

    -       id: text
    +       id: string
    9:11: unknown type 'string'; did you mean 'text'?

    -       id: text
    +       id: txet
    9:11: unknown type 'txet'; did you mean 'text'?

    - amount: decimal(2)
    + amount: decimal(12)
    12:15: unknown type 'decimal(12)'; decimals have 1 to 9 digits after the point, like decimal(2)

    - amount: decimal(2)
    + amount: decimal
    12:15: unknown type 'decimal'; decimals have 1 to 9 digits after the point, like decimal(2)

    - amount: decimal(2)
    + amount: { type: decimal(2), rounded: true }
    12:35: field amount has no 'rounded'; did you mean 'round'?

    - amount: decimal(2)
    + amount: { from: Price }
    12:7: field amount needs 'type'; write { type: text }

    - id: text
    + id: { type: text, zone: UTC }
    9:25: zone is for timestamps, and 'id' is text

    - id: text
    + id: { type: text, round: true }
    9:25: round is for numbers, and 'id' is text

    - id: text
    + id: { type: text, from: Invoice No }
    9:39: expected an operator before 'No'; a name with spaces or signs is written in backticks: from: "`Invoice No`"

    - id: text
    + id: { type: text, from: merchant_ }⏎      id2: { type: text, from: merchant_ }
    10:7: 'id2' and 'id' are read from one place; from: id copies the field

    - { from: amount - fee }
    + { type: decimal(2), from: amount - fee }
    16:38: 'net' is declared as decimal(2), and this gives decimal(4); add round: true, or write round(..., 2)

    - { from: amount - fee }
    + { from: amount - fees }
    16:29: no field 'fees'; did you mean 'fee'?

    - { from: amount - fee }
    + { from: nett + 1 }⏎      nett: { from: amount - fee }
    16:20: 'nett' is not computed yet here; fields are computed in the order of the file

    - { from: amount - fee }
    + { from: net + 1 }
    16:20: 'net' is not computed yet here; fields are computed in the order of the file

    - { from: amount - fee }
    + { from: amount - fee, zone: UTC }
    16:34: zone is for timestamps in the record; 'net' is computed

    -   orders:⏎
    +   1orders:⏎
    5:3: '1orders' is no name for a source; names have letters, digits, _ and -, and begin with a letter
    19:11: no source or step 'orders'; did you mean '1orders'?

    -     from: orders⏎    where
    +     from: order⏎    where
    19:11: no source or step 'order'; did you mean 'orders'?

    -     from: orders⏎    where
    +     from: sums⏎    where
    24:11: steps read each other in a circle: paid from sums from paid

    -     from: orders⏎    where
    +     where
    18:3: step paid needs 'from'; write from: orders

    -   paid:⏎
    +   orders:⏎
    18:3: 'orders' is the name of a source already; give the step another one
    24:11: no source or step 'paid'; known: orders, orders, days
    31:11: no source or step 'paid'; known: orders, orders, sums
    44:9: no step 'paid'; known: orders, sums, days

    -     from: paid⏎    key: merchant⏎
    +     from: paid⏎    keys: merchant⏎
    25:5: step sums has no 'keys'; did you mean 'key'?

    -     key: merchant⏎    window
    +     key: merchants⏎    window
    25:10: no field 'merchants' for the key; did you mean 'merchant'?

    -     key: [merchant]
    +     key: [merchant, merchant]
    32:21: 'merchant' is named twice

    -     key: [merchant]
    +     key: []
    32:10: key is an empty list; write key: merchant_id

    - { share: fee / amount }
    + { amount: fee / amount }
    21:15: orders has a field 'amount' already; give this one another name

    - { share: fee / amount }
    + { a: b + 1, b: fee / amount }
    21:18: 'b' is not computed yet here; fields are computed in the order of the file

    - size: 5m, slide: 10s
    + size: 5min, slide: 10s
    26:21: unknown unit in '5min'; durations are written like 10s, 5m, 2h, 30d

    - size: 5m, slide: 10s
    + size: 5m, slide: 7s
    26:32: slide 7s must divide size 5m without a rest

    - size: 5m, slide: 10s
    + slide: 10s
    26:5: window needs 'size'; write window: { size: 5m, slide: 10s }

    - size: 5m, slide: 10s
    + size: 0m
    26:21: the size of a window must be longer than 0

    - size: 5m, slide: 10s
    + size: 1d, slide: 1h
    26:32: size 1d and slide 1h must both be in days, or neither; 24h is a fixed length, 1d a calendar day

    - size: 5m, slide: 10s
    + size: 30d, slide: 1d
    26:21: a window of days needs a time zone; write window: { size: 30d, zone: Asia/Shanghai }, or 24h for a fixed length

    - size: 5m, slide: 10s
    + size: 1w, slide: 1d
    26:32: size 1w and slide 1d must both be in weeks, or neither

    - size: 5m, slide: 10s
    + size: 2mo, slide: 1mo
    26:21: a window of months needs a time zone; write window: { size: 2mo, zone: Asia/Shanghai }

    - size: 5m, slide: 10s
    + size: 1h, slide: 10ms
    26:32: size 1h in slides of 10ms makes 360000 panes, more than 100000; make the slide longer

    - out_of_order: 2s
    + out_of_order: 30d
    26:5: step sums needs 259232 panes for a key, more than 100000: size / slide, and out_of_order of source orders / slide; make the slide longer

    - until: yesterday
    + until: previous
    33:65: until must be 'yesterday' for a window of days, not 'previous'

    - until: yesterday
    + until: today
    33:65: until must be 'yesterday', not 'today'

    - zone: Asia/Shanghai
    + zone: Shanghai
    33:43: no time zone 'Shanghai'; did you mean 'Asia/Shanghai'?

    -     window: { size: 5m, slide: 10s }⏎
    + 
    26:5: step sums needs 'window' beside 'aggregate'; write window: { size: 5m, slide: 10s }

    -     aggregate:⏎      total: sum(amount)⏎      people: distinct(id)⏎
    + 
    26:5: step sums needs 'aggregate' beside 'window'; write aggregate: { amount: sum(amount) }

    - on: { sums, days }
    + on: { sums, dayz }
    37:17: no step 'dayz'; did you mean 'days'?

    - on: { sums, days }
    + on: { sums: 1, days }
    37:17: on takes only names; write on: { today, baseline }

    - on: { sums, days }
    + on: [sums, paid]
    37:16: step paid has no window; a rule reads several steps only if all have one

    -     key: [merchant]
    +     key: [merchant, id]
    37:17: step days has the key merchant, id, and sums has merchant; a rule's steps need equal keys
    51:19: the key leaves out 'id', so different keys of step days would share one entry; write {id} in it

    - on: paid
    + on: orders
    44:9: no step 'orders'; known: paid, sums, days

    -     fields: { share: fee / amount }⏎    key: merchant⏎
    +     fields: { share: fee / amount }⏎
    43:9: step paid needs 'key', so that its alerts belong to somebody; write key: merchant_id in it

    -     on: paid⏎
    +     on: paid⏎    at: close⏎
    45:9: at: close is for steps with a window; a rule on single records fires for each

    -     on: paid⏎
    +     on: paid⏎    clear: amount < 5⏎
    45:5: clear is for steps with a window; a rule on single records fires for each and is never raised for long

    -     on: paid⏎
    +     on: paid⏎    at: closing⏎
    45:9: at must be record or close, not 'closing'

    - severity: low
    + severity: huge
    47:15: severity must be low, medium, high or critical, not 'huge'

    -     risk: volume⏎    severity: low
    +     severity: low
    43:3: rule big needs 'risk'; write risk: fabricated-volume

    -     when: amount > 1000.00⏎
    + 
    43:3: rule big needs 'when'; write when: today.amount > 1000.00

    - {sums.total}"
    + {sums.total"
    42:31: '{' is not closed; write {{ for a brace

    - {sums.total}"
    + {sums.totals}"
    42:32: no result of sums and days 'sums.totals'; did you mean 'sums.total'?

    - {sums.total}"
    + {total}"
    42:32: 'total' is not clear; write sums.total or days.total

    - "{merchant} sold
    + "\u00e9{merchnt} sold
    42:22: no result of sums and days 'merchnt'; did you mean 'merchant'?

    - { topic: alerts }
    + { topic: orders }
    49:29: source orders reads this topic; a topology must not read what it writes

    - { kafka: { topic: alerts } }
    + { kafka: { topic: alerts }, rules: [spik] }
    49:47: no rule 'spik'; did you mean 'spike'?

    - { kafka: { topic: alerts } }
    + { }
    49:3: sink alerts needs one of kafka, redis, file, stdout and hbase, not none; write kafka: { topic: risk-alerts }

    -     from: [sums, days]⏎
    + 
    50:3: sink metrics needs 'from'; Redis takes the results of steps with a window, like from: [today]

    -     from: [sums, days]
    +     from: [sums, paid]
    52:5: step paid has no window; Redis takes the results of steps with a window

    -     from: [sums, days]
    +     from: [sums, dais]
    52:18: no step 'dais'; did you mean 'days'?

    - ttl: 2d
    + tll: 2d
    51:35: redis has no 'tll'; did you mean 'ttl'?

    - m:{merchant}
    + m:{merchnt}
    51:23: step sums has no key field 'merchnt'; did you mean 'merchant'?

    - m:{merchant}
    + m
    51:19: the key leaves out 'merchant', so different keys of step sums would share one entry; write {merchant} in it

    -     from: [sums, days]
    +     from: [sums, days]⏎    rules: [big]
    53:5: a sink takes the results of steps ('from') or alerts ('rules'), not both

    - sinks:⏎  alerts: { kafka: { topic: alerts } }
    + sinks:⏎  alerts: { kafka: { topic: alerts }, rules: [big] }
    36:3: warning: no sink takes the alerts of the rule 'spike'

    -   alerts: { kafka
    +   late: { kafka
    49:3: 'late' is where late records go (late.jsonl in replay); give the sink another name

    -   alerts: { kafka
    +   dead-letter: { kafka
    49:3: 'dead-letter' is where dead letters go (dead-letter.jsonl in replay); give the sink another name

    - topic: alerts
    + topic: risk-late
    49:29: 'risk-late' is the topology's own topic of late records; take another one

    - topic: alerts
    + topic: risk-state-changelog
    49:29: 'risk-state-changelog' is the topology's own topic of state; take another one

    - topic: alerts
    + topic: risk-sums-repartition
    49:29: 'risk-sums-repartition' is the topology's own topic of repartitioned records; take another one

    - topic: orders
    + topic: risk-dead-letter
    5:3: source orders reads 'risk-dead-letter', the topology's own topic of dead letters; a topology must not read what it writes

    -   alerts: { kafka: { topic: alerts } }
    +   alerts: { file: { path: ./out/a.jsonl } }⏎  others: { file: { path: out//x/../a.jsonl } }
    50:3: sink alerts writes the file of sink others; give this one a path of its own

    -   alerts: { kafka: { topic: alerts } }
    +   alerts: { file: { path: /a/.//b.jsonl } }⏎  other: { file: { path: /a/c/../b.jsonl } }
    50:3: sink alerts writes the file of sink other; give this one a path of its own
    """#
