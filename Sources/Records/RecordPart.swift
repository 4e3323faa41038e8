/// What a record of a topic has beside its value.
package enum RecordPart: Hashable, Sendable {
    case key, partition, offset, timestamp
    /// The last header of this name.
    case header(String)

    /// As `record:` of a field says it.
    package init?(_ text: String) {
        switch text {
        case "key": self = .key
        case "partition": self = .partition
        case "offset": self = .offset
        case "timestamp": self = .timestamp
        default:
            guard text.hasPrefix("header."), text.utf8.count > 7 else { return nil }
            self = .header(String(text.dropFirst(7)))
        }
    }

    package static let names = ["key", "partition", "offset", "timestamp", "header.NAME"]

    package var text: String {
        switch self {
        case .key: "key"
        case .partition: "partition"
        case .offset: "offset"
        case .timestamp: "timestamp"
        case .header(let name): "header.\(name)"
        }
    }
}
