/// What a record of a topic has beside its value.
package enum RecordPart: Hashable, Sendable {
    case key, partition, offset, timestamp, topic
    /// The last header of this name.
    case header(String)

    /// As `record:` of a field says it.
    package init?(_ text: String) {
        switch text {
        case "key": self = .key
        case "partition": self = .partition
        case "offset": self = .offset
        case "timestamp": self = .timestamp
        case "topic": self = .topic
        default:
            guard text.hasPrefix(Self.headerPrefix), text.utf8.count > Self.headerPrefix.utf8.count,
                !text.utf8.contains(0)
            else { return nil }
            self = .header(String(text.dropFirst(Self.headerPrefix.count)))
        }
    }

    private static let headerPrefix = "header."

    package static let names = ["key", "partition", "offset", "timestamp", "topic", "header.NAME"]

    package var text: String {
        switch self {
        case .key: "key"
        case .partition: "partition"
        case .offset: "offset"
        case .timestamp: "timestamp"
        case .topic: "topic"
        case .header(let name): Self.headerPrefix + name
        }
    }
}
