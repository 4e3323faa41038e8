/// A topology with a source of every option of its format, in which each test makes one mistake.
let formatBase = #"""
    topology: risk
    sources:
      orders:
        kafka: { topic: orders, tombstones: skip }
        format: { type: csv, delimiter: ";", quote: "'", escape: "\\", trim: true, skip: 2, columns: [id, x, amount, at, note], encoding: gb18030, null: [NULL, "-", ""] }
        time: { field: at }
        schema:
          id: { type: text, numbers: true }
          amount: { type: decimal(2)?, encoding: base64, null: "n/a" }
          at: { type: timestamp, unit: s }
          note: text?
      feed:
        kafka: { topic: feed }
        format: { type: json, encoding: utf-16 }
        time: { field: at, unit: ms }
        schema: { at: timestamp, a.b: int }
    steps:
      all: { from: orders, where: amount > 1 and note == "x" and id != "" }
      feeds: { from: feed, where: a.b > 1 }
    sinks:
      out: { kafka: { topic: out }, from: [all, feeds] }

    """#

let formatMistakes = #"""
    - type: csv, delimiter
    + type: xml, delimiter
    5:21: type must be json, csv, tsv, debezium, canal, maxwell, connect, cloudevents, avro or protobuf, not 'xml'

    - type: csv, delimiter
    + tipe: csv, delimiter
    5:15: format has no 'tipe'; did you mean 'type'?

    - { type: json, encoding: utf-16 }
    + { encoding: utf-16 }
    14:5: format needs 'type'; write format: { type: json }

    - { type: json, encoding: utf-16 }
    + { type: json, delimiter: ";" }
    14:27: delimiter is for csv, and the format is json

    - { type: json, encoding: utf-16 }
    + { type: json, escape: none, skip: 1 }
    14:27: escape is for csv and tsv, and the format is json
    14:41: skip is for csv and tsv, and the format is json

    - { type: json, encoding: utf-16 }
    + { type: tsv, trim: true }
    14:26: trim is for csv, and the format is tsv

    - { type: json, encoding: utf-16 }
    + { type: tsv, escape: "/" }
    14:34: escape must be none or \, not '/'

    - { type: json, encoding: utf-16 }
    + { type: tsv, columns: [at] }
    14:26: columns has no 'a.b' of the schema; known: at

    - { type: json, encoding: utf-16 }
    + [json]
    14:13: format needs a value, not a list; write json

    - delimiter: ";"
    + delimiter: ";;"
    5:37: delimiter must be one ASCII character that is no letter and no digit, not ';;'; write delimiter: ";"

    - delimiter: ";"
    + delimiter: x
    5:37: delimiter must be one ASCII character that is no letter and no digit, not 'x'; write delimiter: ";"

    - delimiter: ";"
    + delimiter: "，"
    5:37: delimiter must be one ASCII character that is no letter and no digit, not '，'; write delimiter: ";"

    - quote: "'"
    + quote: ";"
    5:42: quote and the delimiter cannot be one character

    - quote: "'"
    + quote: "''"
    5:49: quote must be one ASCII character that is no letter and no digit, not ''''; write quote: "'", or none

    - quote: "'"
    + quote: none
    5:55: escape is for what stands in quotes, and there are no quotes; take it out

    - escape: "\\"
    + escape: "'"
    5:54: escape is for what stands in quotes, and a doubled quote stands for one by itself; take it out

    - trim: true
    + trim: yes
    5:74: trim must be true or false, not 'yes'

    - skip: 2
    + skip: -1
    5:86: skip must be a whole number from 0 to 1000, not '-1'; write skip: 3

    - skip: 2
    + header: true
    5:94: columns names what has no header; with one, say skip: 1 and take header out

    - [id, x, amount, at, note]
    + [id, x, amount, att, note]
    5:89: columns has no 'at' of the schema; did you mean 'att'?

    - [id, x, amount, at, note]
    + [id, x, amount, at, note, x]
    5:124: 'x' is named twice

    - encoding: gb18030
    + encoding: gb1803
    5:135: no encoding 'gb1803'; did you mean 'gb18030'?

    - null: [NULL, "-", ""]
    + null: [[NULL]]
    5:151: null needs texts, not a list; write null: ["NULL", "-"]

    - id: { type: text, numbers: true }
    + id: { type: int, numbers: true }
    8:24: numbers is for texts, and 'id' is int
    18:65: int and text do not compare; both sides must have one type

    - decimal(2)?, encoding: base64
    + decimal(2)?, encoding: hex
    9:46: encoding must be base64, not 'hex'

    - note: text?
    + note: { type: text?, encoding: base64 }
    11:28: encoding is for numbers, and 'note' is text

    - note: text?
    + note: { type: text?, unit: s }
    11:28: unit is for timestamps, and 'note' is text

    - unit: s }
    + unit: sec }
    10:36: unit must be s, ms, us, ns, min, h or d, not 'sec'

    - unit: ms }
    + unit: m }
    15:30: unit must be s, ms, us, ns, min, h or d, not 'm'

    - note: text?
    + note: { type: text?, from: "concat(id, 'x')", null: x }
    11:53: null is for fields in the record; 'note' is computed

    - tombstones: skip
    + tombstones: drop
    4:41: tombstones must be refuse or skip, not 'drop'

    - topic: feed }
    + topic: feed, tombstones: skip }⏎    table: { key: a.b }
    13:27: in a table a record without a value deletes its key; take tombstones out
    20:18: 'feed' is a table, which is looked up; write join: { table: feed, on: … }
    """#
