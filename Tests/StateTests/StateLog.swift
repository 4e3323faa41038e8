import Records
import State
import Testing

/// A changelog: newest value of each key.
struct StateLog: Equatable {
    var entries: [[UInt8]: [UInt8]] = [:]
    var tombstones = 0

    mutating func drain(_ state: any OperatorState) {
        let bytes = Arena(capacity: 64)
        state.drainChanges(into: bytes) { key, value in
            let name = Array(UnsafeBufferPointer(start: bytes.base, count: bytes.count)[key])
            if value == nil { tombstones += 1 }
            entries[name] = value.map {
                Array(UnsafeBufferPointer(start: bytes.base, count: bytes.count)[$0])
            }
        }
    }

    /// A value that is taken back before another is put in its place, as a changelog that was not compacted
    /// has it.
    func restore(_ state: any OperatorState, twice: Bool) {
        for (key, value) in entries.sorted(by: { $0.value.count < $1.value.count }) {
            key.withUnsafeBufferPointer { key in
                value.withUnsafeBufferPointer { value in
                    if twice {
                        #expect(state.restore(key: key, value: value))
                        #expect(state.restore(key: key, value: nil))
                    }
                    #expect(state.restore(key: key, value: value))
                }
            }
        }
        state.finishRestore()
    }

    static func == (one: StateLog, other: StateLog) -> Bool { one.entries == other.entries }

    static func snapshot(of state: any OperatorState) -> StateLog {
        var log = StateLog()
        let bytes = Arena(capacity: 64)
        state.forEach(into: bytes) { key, value in
            let all = UnsafeBufferPointer(start: bytes.base, count: bytes.count)
            log.entries[Array(all[key])] = Array(all[value])
        }
        return log
    }
}
