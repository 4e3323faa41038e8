import Base
import Records

/// What is wrong with a row, in one sentence. `appendFound` appends what stands in a column.
func writeExplanation(
    _ row: Int,
    _ batch: Batch,
    _ readers: [ColumnReader],
    notation: String,
    into text: Arena,
    appendFound: (Int) -> Void
) {
    let status = RowStatus(rawValue: batch.status[row]) ?? .malformed
    let index = Int(batch.statusField[row])
    let hasReader = readers.indices.contains(index)
    let name = hasReader ? readers[index].name : "the record"
    switch status {
    case .malformed:
        text.appendText("not a well-formed ")
        text.appendText(notation)
        text.appendText(": ")
        appendExcerpt(batch.raw.values[row], Int(batch.raw.valueCounts[row]), to: text)
    case .nullValue: text.appendText("the record has no value")
    case .oversized: appendOversized(row, batch, to: text)
    case .missingField:
        text.appendText(name)
        text.appendText(" is missing; ")
        text.appendText(hasReader ? readers[index].expectation : "a value")
        text.appendText(" was expected")
    case .outOfRange, .wrongType, .textTooLong:
        text.appendText(name)
        text.appendText(" is ")
        appendFound(index)
        text.appendText("; ")
        text.appendText(hasReader ? readers[index].expectation : "something else")
        text.appendText(" was expected")
    default: text.appendText("\(name) is refused (\(status.name))")
    }
}

func appendOversized(_ row: Int, _ batch: Batch, to text: Arena) {
    text.appendText("the record has \(batch.raw.valueCounts[row]) bytes, at most \(Limits.recordBytesMax) are read")
}

/// Appends at most 80 bytes of a record, with what a terminal would not show escaped.
func appendExcerpt(_ start: UnsafePointer<UInt8>?, _ count: Int, to text: Arena) {
    guard let start, count > 0 else { return text.appendText("nothing") }
    let shown = UnsafeBufferPointer(start: start, count: min(count, 80))
    if shown.contains(where: { $0 >= 0x80 }) {
        // What is no UTF-8, such as a character that was cut, becomes U+FFFD.
        var repaired = String(decoding: shown, as: UTF8.self)
        repaired.withUTF8 { appendEscaped($0, to: text) }
    } else {
        appendEscaped(shown, to: text)
    }
    if count > shown.count { text.appendText("…") }
}

private func appendEscaped(_ bytes: UnsafeBufferPointer<UInt8>, to text: Arena) {
    guard let start = bytes.baseAddress else { return }
    var clean = 0
    for (position, byte) in bytes.enumerated() where byte < 0x20 || byte == 0x7F {
        _ = text.append(start + clean, position - clean)
        text.appendText("\\u{\(String(byte, radix: 16))}")
        clean = position + 1
    }
    _ = text.append(start + clean, bytes.count - clean)
}
