import Base

/// Which node of a Redis Cluster has which keys: 16,384 slots by CRC-16 (XMODEM) of the key, or of what
/// stands in its first braces (https://redis.io/docs/reference/cluster-spec).
struct RedisSlots: Equatable {
    static let count = 16_384
    /// The place of each slot's master, as an index into `places`; -1: nobody has it.
    private var owner = [Int16](repeating: -1, count: RedisSlots.count)
    private(set) var places: [RedisAddress.Place] = []

    static func slot(of key: UnsafeBufferPointer<UInt8>) -> Int {
        var tag = UnsafeBufferPointer(rebasing: key[...])
        if let open = key.firstIndex(of: 0x7B), let close = key[(open + 1)...].firstIndex(of: 0x7D),
            close > open + 1
        {
            tag = UnsafeBufferPointer(rebasing: key[(open + 1)..<close])
        }
        return Int(crc(tag)) % count
    }

    static func slot(of key: String) -> Int {
        var key = key
        return key.withUTF8 { slot(of: $0) }
    }

    private static let table: [UInt16] = (0..<256).map { byte in
        (0..<8).reduce(UInt16(byte) << 8) { value, _ in value & 0x8000 != 0 ? value << 1 ^ 0x1021 : value << 1
        }
    }

    static func crc(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt16 {
        table.withUnsafeBufferPointer { table in
            bytes.reduce(UInt16(0)) { $0 << 8 ^ table[Int(UInt8($0 >> 8) ^ $1)] }
        }
    }

    func place(ofSlot slot: Int) -> RedisAddress.Place? { owner[slot] < 0 ? nil : places[Int(owner[slot])] }

    /// The answer of `CLUSTER SLOTS`; nil: it is none. `asked`: the host that a nameless node has.
    init?(_ answer: RedisValue, asked: RedisAddress.Place) {
        guard case .array(let ranges) = answer else { return nil }
        for range in ranges {
            guard case .array(let parts) = range, parts.count >= 3, let first = parts[0].integer,
                let last = parts[1].integer,
                0 <= first, first <= last, last < Self.count, case .array(let master) = parts[2],
                master.count >= 2,
                let port = master[1].integer
            else { return nil }
            set(Int(first)...Int(last), Self.place(host: master[0].text ?? "", port: Int(port), asked))
        }
    }

    init() {}

    private mutating func set(_ slots: ClosedRange<Int>, _ place: RedisAddress.Place) {
        let index = places.firstIndex(of: place) ?? places.count
        if index == places.count { places.append(place) }
        for slot in slots { owner[slot] = Int16(index) }
    }

    /// A node moved a slot.
    mutating func move(_ redirection: RedisRedirection) {
        set(redirection.slot...redirection.slot, redirection.place)
    }

    private static func place(host: String, port: Int, _ asked: RedisAddress.Place) -> RedisAddress.Place {
        if host.isEmpty, case .network(let known, _) = asked { return .network(host: known, port: port) }
        return .network(host: host, port: port)
    }
}

/// `MOVED 3999 127.0.0.1:6381`: from now on; `ASK 3999 127.0.0.1:6381`: this command alone, behind `ASKING`.
struct RedisRedirection: Equatable {
    var isAsk: Bool
    var slot: Int
    var place: RedisAddress.Place

    /// nil: the error is none. `asked`: who said it.
    init?(_ error: String, asked: RedisAddress.Place) {
        let words = error.split(separator: " ")
        guard words.count == 3, words[0] == "MOVED" || words[0] == "ASK", let slot = Int(words[1]),
            0..<RedisSlots.count ~= slot,
            let colon = words[2].lastIndex(of: ":"),
            let port = Int(words[2][words[2].index(after: colon)...]), 1...65_535 ~= port
        else { return nil }
        isAsk = words[0] == "ASK"
        self.slot = slot
        let host = String(words[2][..<colon])
        if host.isEmpty, case .network(let known, _) = asked {
            place = .network(host: known, port: port)
        } else {
            place = .network(host: host, port: port)
        }
    }
}
