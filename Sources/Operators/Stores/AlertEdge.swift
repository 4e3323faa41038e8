import Records

/// The last alert that a rule has raised for a key, and whether it is raised.
struct AlertEdge {
    var alertId: UInt64
    var secondHalf: UInt64
    /// The greatest event time of an alert that was raised for this key.
    var eventTime: Int64
    /// Alerts raised for this key at this event time before.
    var ordinal: Int
    /// Alerts raised for this key at event times before that of an earlier one.
    var outOfOrder = 0
    var isRaised: Bool
}

extension AlertEdge {
    func append(to bytes: Arena) {
        bytes.appendWord(alertId)
        bytes.appendWord(secondHalf)
        bytes.appendZigzag(eventTime)
        bytes.appendVarint(UInt64(ordinal))
        bytes.appendVarint(UInt64(outOfOrder))
        bytes.appendByte(isRaised ? 1 : 0)
    }

    /// What `append` wrote.
    init(_ reader: inout BinaryReader) {
        self.init(
            alertId: reader.word64(), secondHalf: reader.word64(), eventTime: reader.zigzag(),
            ordinal: reader.count(below: Int(Int32.max)), outOfOrder: reader.count(below: Int.max),
            isRaised: reader.byte() != 0)
    }

    /// The key of its record in the changelog. `rule`: identity.
    static func appendKey(_ rule: UInt32, _ key: UnsafeBufferPointer<UInt8>, to bytes: Arena) {
        bytes.appendByte(ChangeKind.edge)
        bytes.appendWord(rule)
        bytes.append(key)
    }
}
