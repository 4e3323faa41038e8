import Base

/// Numbers as base64 (RFC 4648, with or without its padding) of their bytes.
enum Base64 {
    enum Failure: Error { case notBase64, outOfRange }

    /// The bytes as an integer in two's complement, the highest first.
    static func number(_ text: UnsafePointer<UInt8>, _ count: Int) -> Result<Int64, Failure> {
        var length = count
        if count % 4 == 0 {
            for _ in 0..<2 where length > 0 && text[length - 1] == 0x3D { length -= 1 }
        }
        guard length >= 2, length % 4 != 1 else { return .failure(.notBase64) }
        var number: Int64 = 0
        var isFirst = true
        var overflows = false
        var bits: UInt32 = 0
        var held: UInt32 = 0
        for index in 0..<length {
            guard let six = Base64Text.six(text[index]) else { return .failure(.notBase64) }
            bits = bits &<< 6 | six
            held += 6
            guard held >= 8 else { continue }
            held -= 8
            let byte = UInt8(truncatingIfNeeded: bits &>> held)
            if isFirst {
                number = Int64(Int8(bitPattern: byte))
                isFirst = false
            } else {
                // Leading bytes that only repeat the sign take no room.
                overflows = overflows || (number &>> 55 != 0 && number &>> 55 != -1)
                number = number &<< 8 | Int64(byte)
            }
        }
        // What is left of the last letter is zero.
        guard bits & (1 &<< held &- 1) == 0 else { return .failure(.notBase64) }
        return overflows ? .failure(.outOfRange) : .success(number)
    }
}
