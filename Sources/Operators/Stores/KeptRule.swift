import Records
import Topology

/// What is kept of a rule on windows beside the alerts that it has raised, once for each task, so that they
/// can be cleared when a topology comes that has the rule no more, or another under its name.
struct KeptRule: Equatable {
    var name: String
    var risk: String
    var severity: String
    var condition: String
    var measure: String
    var key: [Field]
    /// Identities of the steps whose windows it looks at.
    var windows: [UInt32]
    /// Names of the sinks that take its alerts.
    var sinks: [String]

    init(_ rule: RulePlan, steps: [StateIdentities.Step?], sinks: [SinkSpec]) {
        name = rule.spec.name
        risk = rule.spec.risk
        severity = rule.spec.severity.rawValue
        condition = rule.spec.condition
        measure = rule.spec.measure
        key = zip(rule.keyNames, rule.keyColumns).map { Field(name: $0, type: $1.type) }
        windows = rule.spec.on.compactMap { steps[$0]?.id }
        self.sinks = rule.sinks.map { sinks[$0].name }
    }

    /// nil: the bytes are none of `bytes`.
    init?(_ bytes: UnsafeBufferPointer<UInt8>) {
        var reader = BinaryReader(bytes)
        name = reader.text()
        risk = reader.text()
        severity = reader.text()
        condition = reader.text()
        measure = reader.text()
        key = (0..<reader.count(below: bytes.count)).map { _ in
            let name = reader.text()
            return Field(name: name, type: Self.type(&reader))
        }
        windows = (0..<reader.count(below: bytes.count)).map { _ in reader.word32() }
        sinks = (0..<reader.count(below: bytes.count)).map { _ in reader.text() }
        guard reader.isValid, reader.isAtEnd, !key.isEmpty else { return nil }
    }

    var bytes: [UInt8] {
        let arena = Arena(capacity: 256)
        for text in [name, risk, severity, condition, measure] { arena.appendBlob(text) }
        arena.appendVarint(UInt64(key.count))
        for field in key {
            arena.appendBlob(field.name)
            Self.append(field.type, to: arena)
        }
        arena.appendVarint(UInt64(windows.count))
        for window in windows { arena.appendWord(window) }
        arena.appendVarint(UInt64(sinks.count))
        for sink in sinks { arena.appendBlob(sink) }
        return Array(UnsafeBufferPointer(start: arena.base, count: arena.count))
    }

    private static let types: [ValueType] = [.bool, .int, .text, .timestamp, .duration]

    private static func append(_ type: ValueType, to arena: Arena) {
        if case .decimal(let scale) = type { return arena.appendByte(UInt8(types.count + scale)) }
        arena.appendByte(UInt8(types.firstIndex(of: type) ?? 0))
    }

    private static func type(_ reader: inout BinaryReader) -> ValueType {
        let byte = Int(reader.byte())
        if byte < types.count { return types[byte] }
        if byte > types.count + 9 { reader.fail() }
        return .decimal(scale: min(byte - types.count, 9))
    }
}

/// An alert that was raised, and that nothing in the topology can clear any more.
struct AbandonedAlert {
    var rule: KeptRule
    /// As the rule's key was encoded.
    var key: [UInt8]
    var edge: AlertEdge
    var reason: Reason

    /// As it stands in the alert that clears it.
    enum Reason: String {
        case ruleRemoved = "rule-removed"
        case keyChanged = "key-changed"
        case windowChanged = "window-changed"

        var message: String {
            switch self {
            case .ruleRemoved: "the topology has no such rule any more"
            case .keyChanged: "the rule has another key now"
            case .windowChanged: "the rule looks at another window now"
            }
        }
    }
}
