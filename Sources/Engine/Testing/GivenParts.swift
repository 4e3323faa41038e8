import Formats
import Records
import Topology

/// What a test gives of a record beside its value: `record.key`, `record.header.trace`, `record.timestamp`,
/// `record.offset`.
struct GivenParts {
    private var key: [UInt8]?
    private var time: Int64?
    private var offset: Int64?
    private var headers: [(name: [UInt8], value: [UInt8])] = []
    /// What cannot be given.
    private(set) var mistake: String?

    /// True if the value is that of a field beside the record's value.
    mutating func take(_ value: GivenValue, of source: SourceSpec) -> Bool {
        guard let part = source.wire.first(where: { $0.part != nil && $0.name == value.path })?.part else {
            return false
        }
        let text = value.json == "null" ? nil : Self.text(value.json)
        switch part {
        case .key: key = text
        case .header(let name): headers += text.map { [(Array(name.utf8), $0)] } ?? []
        case .timestamp:
            time = text.flatMap { Self.time(String(decoding: $0, as: UTF8.self)) }
            if time == nil, text != nil { mistake = "\(value.path): \(value.json) is no time" }
        case .offset:
            offset = Int64(value.json)
            if offset == nil { mistake = "\(value.path): \(value.json) is no offset" }
        case .partition, .topic:
            mistake = "\(value.path) is not given: a test has one partition, 0, of the source's own topic"
        }
        return true
    }

    private static func time(_ text: String) -> Int64? {
        if let parsed = CivilTime.parse(text) { return parsed.hasZone ? parsed.milliseconds : nil }
        return Int64(text)
    }

    /// What a JSON value says as bytes: a text without its quotes.
    private static func text(_ json: String) -> [UInt8] {
        let bytes = Array(json.utf8)
        guard bytes.first == 0x22, case .text(let text)? = try? SchemaText.parse(bytes) else { return bytes }
        return Array(text.utf8)
    }

    /// Calls `body` with the record at index 0, which has these; valid during the call.
    func fill(_ storage: RawRecordStorage, offset: Int64, _ body: (RawRecords) -> Void) {
        storage.offsets[0] = self.offset ?? offset
        storage.timestamps[0] = time ?? -1
        let held = GivenHeaders(headers)
        withExtendedLifetime(held) {
            storage.holders[0] = UnsafeRawPointer(Unmanaged.passUnretained(held).toOpaque())
            (key ?? []).withUnsafeBufferPointer { bytes in
                let isEmpty = bytes.baseAddress == nil
                // A key of no bytes is one all the same.
                storage.keys[0] = key == nil ? nil : isEmpty ? storage.values[0] : bytes.baseAddress
                storage.keyCounts[0] = key == nil ? -1 : Int32(bytes.count)
                body(RawRecords(at: storage, from: 0, count: 1))
            }
        }
        storage.keys[0] = nil
        storage.holders[0] = nil
    }

    static let findHeader: RawRecords.FindHeader = { holder, name, start in
        let headers = Unmanaged<GivenHeaders>.fromOpaque(holder).takeUnretainedValue()
        guard let found = headers.find(String(cString: name)) else { return -1 }
        start.pointee = found.start
        return found.count
    }
}

/// Headers of one record, in memory that they do not move in.
private final class GivenHeaders {
    private let headers: [(name: [UInt8], value: UnsafeMutableBufferPointer<UInt8>)]

    init(_ headers: [(name: [UInt8], value: [UInt8])]) {
        self.headers = headers.map { name, value in
            let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(1, value.count))
            _ = copy.initialize(from: value)
            return (name, UnsafeMutableBufferPointer(start: copy.baseAddress, count: value.count))
        }
    }

    deinit { for header in headers { header.value.baseAddress?.deallocate() } }

    func find(_ name: String) -> (start: UnsafePointer<UInt8>?, count: Int)? {
        headers.last { $0.name == Array(name.utf8) }.map {
            (UnsafePointer($0.value.baseAddress), $0.value.count)
        }
    }
}
