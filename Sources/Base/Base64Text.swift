/// Base64 (RFC 4648).
package enum Base64Text {
    package static func encode(_ bytes: some Collection<UInt8>, url isUrl: Bool = false) -> String {
        let alphabet = Array((isUrl ? plain + "-_" : plain + "+/").utf8)
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        var held: UInt32 = 0
        var bits = 0
        for byte in bytes {
            held = held << 8 | UInt32(byte)
            bits += 8
            while bits >= 6 {
                bits -= 6
                text.append(alphabet[Int(held >> UInt32(bits)) & 63])
            }
            held &= (1 << UInt32(bits)) - 1
        }
        if bits > 0 { text.append(alphabet[Int(held << UInt32(6 - bits)) & 63]) }
        if !isUrl { while text.count % 4 != 0 { text.append(UInt8(ascii: "=")) } }
        return String(decoding: text, as: UTF8.self)
    }

    /// nil: it is none. Padding may be left out.
    package static func decode(_ text: String, url isUrl: Bool = false) -> [UInt8]? {
        var letters = Array(text.utf8)[...]
        for _ in 0..<2 where letters.last == UInt8(ascii: "=") { letters = letters.dropLast() }
        guard letters.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        var held: UInt32 = 0
        var bits = 0
        for letter in letters {
            guard let six = six(letter, url: isUrl) else { return nil }
            held = held << 6 | six
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: held >> UInt32(bits)))
            }
            held &= (1 << UInt32(bits)) - 1
        }
        // Bits that are left over must be none, or two texts would be the same bytes.
        return held == 0 ? bytes : nil
    }

    /// What a letter stands for; nil: it is none.
    @inlinable
    package static func six(_ letter: UInt8, url isUrl: Bool = false) -> UInt32? {
        switch letter {
        case 0x41...0x5A: UInt32(letter) - 0x41
        case 0x61...0x7A: UInt32(letter) - 0x61 + 26
        case 0x30...0x39: UInt32(letter) - 0x30 + 52
        case isUrl ? 0x2D : 0x2B: 62
        case isUrl ? 0x5F : 0x2F: 63
        default: nil
        }
    }

    private static let plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
}
