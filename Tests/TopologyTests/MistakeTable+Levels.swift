/// A topology with levels, in which each test makes one mistake.
let levelsBase = #"""
    topology: risk
    sources:
      alerts:
        kafka: { topic: alerts }
        time: { field: at }
        schema: { customer: text, rule: text, state: text, points: decimal(1), at: timestamp }
      control:
        kafka: { topic: control }
        time: { field: decided }
        schema: { customer: text, action: text?, item: text?, until: timestamp?, reason: text?, owner: text?, decided: timestamp }
    steps:
      response:
        from: alerts
        key: customer
        levels:
          item: rule
          active: state == "raised"
          weight: points
          expire: 30d
          group: 10m
          control: control
          steps:
            watch: { at: 3, below: 1.5, hold: 1h, measure: call }
            restrict: { at: 6, below: 4, or: { count: 2, weight: 5 }, measure: [freeze, ask] }
    rules:
      high: { on: response, when: level == "restrict" and score > 1, risk: r, severity: low }
    sinks:
      alerts: { kafka: { topic: response } }

    """#

let levelsMistakes = #"""
    - group: 10m
    + group: 10m⏎      limit: { items: 5000 }
    21:23: items must be a whole number from 1 to 1024, not '5000'; write items: 500

    - group: 10m
    + group: 10m⏎      limit: { items: 1 }
    23:7: level restrict asks for 2 items, and of a key at most 1 are kept; write limit: { items: 2 }

    - item: rule
    + itme: rule
    16:7: levels has no 'itme'; did you mean 'item'?

    -       item: rule⏎
    + 
    15:5: levels needs 'item'; write item: rule

    - item: rule
    + item: rul
    16:13: no field of alerts 'rul'; did you mean 'rule'?

    - item: rule
    + item: points
    16:13: item is decimal(1); it must be text; text(x) makes text of a value

    - active: state == "raised"
    + active: state
    17:15: active must be true or false, not text; compare it, like amount > 100

    - weight: points
    + weight: state
    18:15: weight is text; it must be a number

    -       expire: 30d⏎
    + 
    15:5: levels needs 'expire'; write expire: 30d

    - expire: 30d
    + expire: 0s
    19:15: expire must be at least 1ms

    - group: 10m
    + group: 30d
    20:7: group must be shorter than expire, 30d

    -     key: customer⏎
    + 
    14:5: step response needs 'key' beside 'levels'; write key: customer

    -     key: customer⏎    levels
    +     key: score⏎    fields: { score: points }⏎    levels
    14:5: the key field 'score' has the name of a column that levels make; give it another one in 'fields'
    22:16: control has no field 'score', the key of the levels; give it one of type decimal(1)

    - from: alerts
    + from: [alerts, control]
    13:20: levels take one input; make a step of 'control' and the others first

    -     levels:
    +     window: { size: 1m }⏎    aggregate: { n: count() }⏎    levels:
    15:5: step response has levels, whose rows no window of the same step takes in; write it in a step that reads this one

    - control: control
    + control: contrl
    21:16: no source or step 'contrl'; did you mean 'control'?

    - control: control
    + control: []
    21:16: control needs a value, not a list; write control: response-control

    - owner: text?, decided
    + decided
    21:16: control has no field 'owner', which controls need; give it one of type text

    - until: timestamp?
    + until: text?
    21:16: field 'until' of control is text, and must be timestamp

    - { customer: text, action
    + { customer: int, action
    21:16: field 'customer' of control is int, and must be text

    - watch: {
    + none: {
    23:9: 'none' is the level of those that are on no other; give this one another name

    - watch: {
    + 1st: {
    23:9: '1st' is no name for a level; names have letters, digits, _ and -, and begin with a letter

    - watch: { at: 3,
    + watch: { at: 3.25,
    23:22: at must be a number above 0 with at most 1 places, as the weights have, not '3.25'

    - watch: { at: 3,
    + watch: { at: 0,
    23:22: at must be a number above 0 with at most 1 places, as the weights have, not '0'

    - watch: { at: 3, below: 1.5,
    + watch: { at: 3, below: 3.5,
    23:25: below is more than 'at', so the level would be left as soon as it is entered; write at most 3.0

    - watch: { at: 3, below: 1.5,
    + watch: { at: 3,
    23:9: level watch needs 'below'; write below: 1

    - restrict: { at: 6, below: 4
    + restrict: { at: 3, below: 3
    24:21: levels go from the lowest up: 'at' must be more than that of watch, 3.0

    - hold: 1h
    + hold: 1
    23:43: '1' has no unit; durations are written like 10s, 5m, 2h, 30d

    - hold: 1h
    + hodl: 1h
    23:37: level watch has no 'hodl'; did you mean 'hold'?

    - { count: 2, weight: 5 }
    + 2
    24:42: or needs a mapping, not a value; write or: { count: 2, weight: 5 }

    - { count: 2, weight: 5 }
    + { count: 0, weight: 5 }
    24:51: count must be a whole number from 1 to 1024, not '0'; write count: 2

    - { count: 2, weight: 5 }
    + { count: 2 }
    24:38: or needs 'weight'; write or: { count: 2, weight: 5 }

    - measure: call
    + measure: []
    23:56: measure is an empty list; write measure: call the merchant

    - level == "restrict"
    + levle == "restrict"
    26:31: no field of response 'levle'; did you mean 'level'?
    """#
