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
        let alphabet = Array((isUrl ? plain + "-_" : plain + "+/").utf8)
        var letters = Array(text.utf8)[...]
        for _ in 0..<2 where letters.last == UInt8(ascii: "=") { letters = letters.dropLast() }
        guard letters.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        var held: UInt32 = 0
        var bits = 0
        for letter in letters {
            guard let six = alphabet.firstIndex(of: letter) else { return nil }
            held = held << 6 | UInt32(six)
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

    private static let plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
}
