/// A topology with operators that make rows, in which each test makes one mistake.
let operatorBase = #"""
    topology: risk
    sources:
      orders:
        kafka: { topic: orders }
        key: merchant
        time: { field: at }
        schema: { id: text, merchant: text, kind: text, amount: decimal(2), at: timestamp }
      customs:
        kafka: { topic: customs }
        key: ref
        time: { field: at }
        schema: { ref: text, value: decimal(2), at: timestamp }
      loans:
        kafka: { topic: loans }
        key: account
        time: { field: at }
        schema: { loan_id: text, account: text, amount: decimal(2), at: timestamp }
      transfers:
        kafka: { topic: transfers }
        key: payer
        time: { field: at }
        schema: { number: text, payer: text, payee: text, amount: decimal(2), cash: bool, at: timestamp }
    steps:
      once: { from: orders, deduplicate: { by: [id, kind], within: 1h } }
      matched:
        from: once
        join: { stream: customs, on: { id: ref }, kind: left, before: 1h, after: 3d }
      both: { from: [orders, once], where: amount > 1.00 }
      daily: { from: both, key: merchant, window: { size: 24h }, aggregate: { sum: sum(amount), n: count() } }
      running: { from: daily, key: merchant, sequence: { repeat: sum > 5.00, times: 3, within: 5d } }
      refunded:
        from: orders
        key: merchant
        sequence: { first: kind == "paid", then: kind == "refunded", within: 1d, by: id }
      best: { from: daily, key: merchant, top: { count: 3, by: sum } }
      visits: { from: orders, key: merchant, window: { gap: 30m, max: 1d }, aggregate: { n: count() } }
      flow:
        from: transfers
        fund_flow:
          source: payer
          target: payee
          amount: amount
          outside: cash
          disbursements: { from: loans, loan: loan_id, account: account, amount: amount }
          method: fifo
          within: 90d
          hops: 5
          least: 1.00
    rules:
      missing: { on: matched, when: not customs.found, risk: r, severity: low }
      runs: { on: running, when: sequence.count > 2, risk: r, severity: low }
      back: { on: refunded, when: first.amount > 5.00, risk: r, severity: low }
      first: { on: best, when: rank == 1, risk: r, severity: low }
      long: { on: visits, when: n > 100, at: close, risk: r, severity: low }
      moved: { on: flow, when: tainted > 100.00, risk: r, severity: low }
    sinks:
      alerts: { kafka: { topic: alerts } }

    """#

let operatorMistakes = #"""
    -     key: ref
    +     key: ref⏎    where: valu > 1.00
    11:12: no field of source customs 'valu'; did you mean 'value'?

    -     key: ref
    +     key: ref⏎    where: value
    11:12: where must be true or false, not decimal(2); compare it, like amount > 100

    - top: { count: 3, by: sum }
    + last: { count: 0, aggregate: { s: sum(sum) } }
    35:54: count must be a whole number from 1 to 1000, not '0'; write count: 20

    - top: { count: 3, by: sum }
    + last: { count: 5, aggregate: { s: window_start() } }
    35:73: window_start is for windows; the last records of a key have none

    - top: { count: 3, by: sum }
    + last: { count: 5 }
    35:39: last needs 'aggregate'; write last: { count: 20, aggregate: { mean: avg(amount) } }

    - visits: { from: orders, key: merchant, window: { gap: 30m
    + visits: { from: orders, window: { gap: 30m
    36:27: step visits needs 'key' beside a window with a gap; write key: merchant_id

    - daily: { from: both, key: merchant, window
    + daily: { from: both, fields: { whole: id }, window
    29:47: a window without 'key' makes a field 'whole', and step daily has one already; write key: whole, or give the field another name in a step before

    - deduplicate: { by: [id, kind], within: 1h }
    + deduplicate: { by: [id, kind], within: 1h, limit: 5 }
    24:75: limit needs a mapping, not a value; write limit: { memory: 2GiB }

    - before: 1h, after: 3d
    + before: 1h, after: 3d, limit: { memory: 2GB }
    27:99: memory must be a whole number of KiB, MiB, GiB or TiB, not '2GB'; write memory: 2GiB

    - before: 1h, after: 3d
    + before: 1h, after: 3d, limit: { memory: 9000000000TiB }
    27:99: memory must be a whole number of KiB, MiB, GiB or TiB, not '9000000000TiB'; write memory: 2GiB

    - before: 1h, after: 3d
    + before: 1h, after: 3d, limit: { rows_per_key: 0 }
    27:105: rows_per_key must be a whole number from 1 to 2147483647, not '0'; write rows_per_key: 10000

    - before: 1h, after: 3d
    + before: 1h, after: 3d, limit: { rows: 5 }
    27:91: limit has no 'rows'; known: memory, rows_per_key

    - times: 3, within: 5d
    + times: 3, within: 5d, limit: { rows_per_key: 5 }
    30:105: limit has no 'rows_per_key'; known: memory

    - window: { gap: 30m, max: 1d }
    + window: { gap: 30m, max: 1d, limit: { sessions: some } }
    36:90: sessions must be a whole number from 1 to 2147483647, not 'some'; write sessions: 5000000

    - window: { size: 24h }
    + window: { size: 24h, limit: { memory: 1GiB } }
    29:60: limit is for windows with a gap; write window: { gap: 30m, max: 1d }

    - top: { count: 3, by: sum }
    + top: { count: 3, by: sum, limit: { items: 3 } }
    35:74: limit has no 'items'; known: memory

    - deduplicate: { by: [id, kind], within: 1h }
    + deduplicate: { by: [id, kid], within: 1h }
    24:49: no field of orders 'kid'; did you mean 'id'?

    - deduplicate: { by: [id, kind], within: 1h }
    + deduplicate: { by: [id, kind] }
    24:25: deduplicate needs 'within'; write deduplicate: { by: order_id, within: 1h }

    - deduplicate: { by: [id, kind], within: 1h }
    + deduplicate: { by: id, within: 0s }
    24:56: within must be at least 1ms

    - once: { from: orders, ded
    + once: { from: orders, key: id, top: { count: 1, by: amount }, ded
    24:34: step once has deduplicate and top, of which a step has one; write the other in a step that reads this one

    - join: { stream: customs, on: { id: ref }
    + join: { stream: custms, on: { id: ref }
    27:21: no source or step 'custms'; did you mean 'customs'?

    - join: { stream: customs, on: { id: ref }
    + join: { stream: customs, on: { id: rf }
    27:40: no field of customs 'rf'; did you mean 'ref'?

    - join: { stream: customs, on: { id: ref }
    + join: { stream: customs, on: { at: ref }
    27:40: 'at' of once is timestamp, and 'ref' of customs is text

    - join: { stream: customs, on: { id: ref }
    + join: { stream: customs
    27:5: join needs 'on'; write join: { stream: customs, on: order_id, within: 3d }

    - before: 1h, after: 3d
    + within: 1h, after: 3d
    27:59: within: 3d is before: 3d, after: 3d; write either the one or the others

    - before: 1h, after: 3d
    + as: c
    27:5: join needs 'within', or 'before' and 'after': how far apart in event time partners may be; write join: { stream: customs, on: order_id, within: 3d }

    - kind: left, before
    + kind: outer, before
    27:53: kind must be inner, left or full, not 'outer'

    - join: { stream: customs, on: { id: ref }, kind
    + join: { stream: customs, on: { id: ref }, as: 9, kind
    27:51: '9' is no name for a joined table; names have letters, digits, _ and -, and begin with a letter

    - not customs.found
    + not customs.fond
    50:37: no field of matched 'customs.fond'; did you mean 'customs.found'?

    - from: [orders, once]
    + from: [orders, customs]
    28:26: customs has no field 'id', which orders has; the inputs of a union need the fields of the first

    - from: [orders, once]
    + from: [orders, both]
    28:26: steps read each other in a circle: both from both

    - times: 3, within: 5d
    + times: 1, within: 5d
    30:81: times must be a whole number from 2 to 1000000, not '1'; write times: 3

    - times: 3, within: 5d
    + times: 3
    30:42: sequence needs 'within'; write within: 1d

    - repeat: sum > 5.00, times: 3
    + repeat: sum > 5.00
    30:42: sequence needs 'repeat' and 'times', 'first' and 'then', or 'first' and 'without', not repeat; write sequence: { repeat: rate > 0.30, times: 3, within: 5d }

    - repeat: sum > 5.00
    + repeat: sum
    30:62: repeat must be true or false, not decimal(2); compare it, like amount > 100

    - repeat: sum > 5.00
    + repeat: smu > 5.00
    30:62: no field of daily 'smu'; did you mean 'sum'?

    - running: { from: daily, key: merchant, seq
    + running: { from: daily, seq
    30:3: step running needs 'key', by which the records of a sequence go together; write key: merchant_id

    - times: 3, within: 5d
    + times: 3, within: 5d, gap: 0s
    30:101: gap must be at least 1ms

    - within: 1d, by: id
    + within: 1d, gap: 1h, by: id
    34:78: gap is for 'repeat': the longest time between two of its records; take it out

    - within: 1d, by: id
    + within: 1d, by: ids
    34:82: no field of orders 'ids'; did you mean 'id'?

    - then: kind == "refunded"
    + without: kind == "refunded", then: kind == "x"
    34:5: sequence needs 'repeat' and 'times', 'first' and 'then', or 'first' and 'without', not first, then and without; write sequence: { repeat: rate > 0.30, times: 3, within: 5d }

    - first: kind == "paid", then
    + frist: kind == "paid", then
    34:17: sequence has no 'frist'; did you mean 'first'?

    - top: { count: 3, by: sum }
    + top: { count: 0, by: sum }
    35:53: count must be a whole number from 1 to 1000, not '0'; write count: 10

    - top: { count: 3, by: sum }
    + top: { count: 3, by: merchant }
    35:60: 'merchant' is text; by must be a number or a time

    - top: { count: 3, by: sum }
    + top: { count: 3, by: smu }
    35:60: no field of daily 'smu'; did you mean 'sum'?

    - top: { count: 3, by: sum }
    + top: { count: 3, by: sum, order: last }
    35:72: order must be greatest or least, not 'last'

    - best: { from: daily, key: merchant, top
    + best: { from: daily, top
    35:3: step best needs 'key': among which records it looks for the greatest; write key: category

    - gap: 30m, max: 1d
    + gap: 30m
    36:42: window needs 'max'; write window: { gap: 30m, max: 1d }

    - gap: 30m, max: 1d
    + gap: 30m, max: 1d, slide: 1m
    36:71: a window with a gap has no slide; write window: { gap: 30m, max: 1d }

    - gap: 30m, max: 1d
    + size: 30m, max: 1d
    36:63: max is for windows with a gap; write window: { gap: 30m, max: 1d }

    - aggregate: { n: count() } }⏎  flow
    + aggregate: { n: window_start() } }⏎  flow
    36:89: window_start is not for windows with a gap; a session's row has window_start and window_end

    - max: 1d }, aggregate: { n: count() }
    + max: 1d }, aggregate: { n: count(), window_end: max(at) }
    36:73: every session has a 'window_end'; give the field or result another name

    -     key: merchant⏎    sequence: { first
    +     key: merchant⏎    window: { size: 1m }⏎    sequence: { first
    34:5: step refunded has sequence, whose rows no window of the same step takes in; write it in a step that reads this one

    - sequence: { first: kind == "paid", then: kind == "refunded", within: 1d, by: id }
    + sequence: { first: kind == "paid", then: kind == "refunded", within: 1d, by: id }⏎    join: { stream: customs, on: { id: ref }, within: 1d }
    34:5: step refunded joins a stream, and sequence takes in no pairs of the same step; write it in a step that reads this one

    - from: once⏎
    + from: [once, orders]⏎
    26:11: join reads one step or source; write from: [a, b] in a step of its own, and read that

    - long: { on: visits, when: n > 100, at
    + long: { on: visits, when: n > 100, clear: n < 5, at
    54:38: clear is for steps with a window; a rule on single records fires for each and is never raised for long

    - first: { on: best, when
    + first: { on: best, at: close, when
    53:26: at: close is for steps with a window; a rule on single records fires for each

    - key: merchant, top: { count: 3, by: sum } }
    + fields: { rank: n }, key: [merchant, rank], top: { count: 3, by: sum } }
    35:68: step best would make two fields 'rank', since daily has one already

    -       source: payer
    +       source: payr
    40:15: no field 'payr' of transfers; did you mean 'payer'?

    -       source: payer
    +       source: amount
    40:15: 'amount' is decimal(2); source must be text

    -       amount: amount⏎      outside
    +       amount: payee⏎      outside
    42:15: 'payee' is text; amount must be decimal or int

    -       outside: cash
    +       outside: amount
    43:16: outside must be true or false, not decimal(2); compare it, like amount > 100

    -       disbursements: { from: loans
    +       disbursements: { from: lons
    44:30: no source or step 'lons'; did you mean 'loans'?

    -       disbursements: { from: loans
    +       disbursements: { fro: loans
    44:24: disbursements has no 'fro'; did you mean 'from'?

    - loan: loan_id, account
    + loan: loan, account
    44:43: no field 'loan' of loans; known: loan_id, account, amount, at

    -       method: fifo
    +       method: lifo
    45:15: method must be fifo or pro_rata, not 'lifo'

    -       within: 90d
    +       withn: 90d
    46:7: fund_flow has no 'withn'; did you mean 'within'?

    -       hops: 5
    +       hops: 500
    47:13: hops must be a whole number from 0 to 32, not '500'; write hops: 5

    -       least: 1.00
    +       least: 1.001
    48:14: least must be an amount of at least 0.01 with at most 2 places, not '1.001'

    -     from: transfers⏎    fund
    +     from: transfers⏎    key: payer⏎    fund
    39:5: a fund flow has no key of its own: transfers go by their source, what it makes by 'loan'; give a step that reads it another key

    - payee: text, amount: decimal(2)
    + payee: text, amount: decimal(3)
    44:70: 'amount' is decimal(2), and the amount of transfers is decimal(3); they must be equal

    - number: text, payer
    + loan: text, payer
    38:11: transfers has a field 'loan', which the results of a fund flow have as well; rename it
    """#
