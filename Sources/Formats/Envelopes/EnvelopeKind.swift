/// How an envelope of JSON says what happened to a row, or what it holds.
package enum EnvelopeKind: String, Sendable {
    case debezium, canal, maxwell, connect, cloudevents

    /// What a record is called that can be read, for dead letters.
    var notation: String {
        switch self {
        case .debezium: "Debezium change"
        case .canal: "Canal change"
        case .maxwell: "Maxwell change"
        case .connect: "Kafka Connect record"
        case .cloudevents: "CloudEvent"
        }
    }

    /// True if it tells changes of rows.
    var isChange: Bool { self == .debezium || self == .canal || self == .maxwell }
}
