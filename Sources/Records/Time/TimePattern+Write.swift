extension TimePattern {
    /// The bytes of a time whose clocks are `offset` milliseconds ahead of UTC, appended to `bytes`.
    package func write(_ milliseconds: Int64, offset: Int64, to bytes: inout [UInt8]) {
        let local = milliseconds &+ offset
        let day = floorDivide(local, CivilTime.dayMilliseconds)
        let time = local &- day &* CivilTime.dayMilliseconds
        let date = CivilTime.civil(day: day)
        func put(_ value: Int64, _ digits: Int) {
            let text = String(abs(value))
            if value < 0 { bytes.append(0x2D) }
            bytes += Array(repeating: 0x30, count: max(0, digits - text.utf8.count)) + Array(text.utf8)
        }
        let hour = time / 3_600_000
        for step in steps {
            switch step {
            case .byte(let byte): bytes.append(byte)
            case .blanks: bytes.append(0x20)
            case .number(.year, _, _): put(date.year, 4)
            case .number(.shortYear, _, _): put((date.year % 100 + 100) % 100, 2)
            case .number(.month, _, _): put(date.month, 2)
            case .number(.day, _, _): put(date.day, 2)
            case .number(.dayOfYear, _, _): put(day - CivilTime.day(year: date.year, month: 1, day: 1) + 1, 3)
            case .number(.hour, _, _): put(hour, 2)
            case .number(.halfHour, _, _): put((hour + 11) % 12 + 1, 2)
            case .number(.minute, _, _): put(time / 60_000 % 60, 2)
            case .number(.second, _, _): put(time / 1000 % 60, 2)
            case .fraction: put(time % 1000, 3)
            case .half: bytes += Array((hour < 12 ? "AM" : "PM").utf8)
            case .monthName: bytes += Array(TimeWords.monthName(date.month).utf8)
            case .weekdayName: bytes += Array(TimeWords.weekdayName(((day + 3) % 7 + 7) % 7).utf8)
            case .offset: Self.writeOffset(offset, to: &bytes)
            case .iso: writeIso(milliseconds, offset, &bytes)
            }
        }
    }

    package func string(_ milliseconds: Int64, offset: Int64) -> String {
        var bytes: [UInt8] = []
        write(milliseconds, offset: offset, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// `2023-01-05T08:03:00+08:00`
    private func writeIso(_ milliseconds: Int64, _ offset: Int64, _ bytes: inout [UInt8]) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: CivilTime.bytesMax) { buffer in
            guard let start = buffer.baseAddress else { return }
            let count = CivilTime.write(milliseconds &+ offset, to: start)
            // All but the Z.
            bytes += UnsafeBufferPointer(start: start, count: count - 1)
        }
        Self.writeOffset(offset, to: &bytes)
    }

    /// `+08:00`; where clocks were seconds off, whole minutes.
    private static func writeOffset(_ offset: Int64, to bytes: inout [UInt8]) {
        let minutes = abs(offset) / 60_000
        bytes.append(offset < 0 ? 0x2D : 0x2B)
        func put(_ value: Int64) {
            bytes += [
                0x30 + UInt8(truncatingIfNeeded: value / 10), 0x30 + UInt8(truncatingIfNeeded: value % 10),
            ]
        }
        put(minutes / 60)
        bytes.append(0x3A)
        put(minutes % 60)
    }
}
