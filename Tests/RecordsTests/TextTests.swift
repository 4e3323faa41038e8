import Base
import Foundation
import Records
import Testing

/// The arena that holds a batch's texts, hashes, and JSON as it is written.
@Suite struct TextTests {
    @Test func arenaKeepsWhatWasAppended() {
        var random = SplitMix64(seed: 11)
        let arena = Arena(capacity: 1)
        for _ in 0..<20 {
            var kept: [(TextReference, String)] = []
            for _ in 0..<500 {
                let text = String(
                    (0..<random.next() % 40).map { _ in "aé中🙂".randomElement(using: &random) ?? "a" })
                kept.append((arena.append(text), text))
            }
            for (reference, text) in kept {
                #expect(arena.string(reference) == text && reference.count == text.utf8.count)
            }
            arena.removeAll()
        }
    }

    @Test(arguments: [(0, 0), (0, 1), (1, 0), (Int(Int32.max), Limits.textBytesMax), (3_000_000_000 >> 1, 7)])
    func referencesArePacked(offset: Int, count: Int) {
        let reference = TextReference(offset: offset, count: count)
        #expect(reference.offset == offset && reference.count == count)
        #expect(TextReference(packed: reference.packed) == reference)
    }

    /// Equal bytes have equal hashes wherever they stand; single changed bits and lengths change them.
    @Test func hashes() {
        var random = SplitMix64(seed: 12)
        var seen: Set<UInt64> = []
        var count = 0
        for length in 0..<40 {
            var bytes = (0..<length + 8).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            func hash(_ offset: Int) -> UInt64 {
                bytes.withUnsafeBufferPointer { hashBytes($0.baseAddress! + offset, length) }
            }
            seen.insert(hash(0))
            count += 1
            for bit in 0..<length * 8 {
                bytes[bit / 8] ^= 1 << UInt8(bit % 8)
                seen.insert(hash(0))
                bytes[bit / 8] ^= 1 << UInt8(bit % 8)
                count += 1
            }
            let original = hash(0)
            bytes = Array(bytes[..<3]) + bytes
            #expect(hash(3) == original)
        }
        let zeros = [UInt8](repeating: 0, count: 64)
        let byLength = Set(
            (0...64).map { length in zeros.withUnsafeBufferPointer { hashBytes($0.baseAddress!, length) } })
        #expect(byLength.count == 65)
        #expect(seen.count == count)
    }

    /// Goal: the hash is wyhash 4.2. Method: the values that its author publishes; the seed is the place in
    /// the list.
    @Test(
        arguments: [
            ("", 0, UInt64(0x9322_8A4D_E0EE_C5A2)), ("a", 1, 0xC5BA_C3DB_1787_13C4),
            ("abc", 2, 0xA97F_2F7B_1D9B_3314),
            ("message digest", 3, 0x786D_1F1D_F380_1DF4),
            ("abcdefghijklmnopqrstuvwxyz", 4, 0xDCA5_A813_8AD3_7C87),
            ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 5, 0xB9E7_34F1_17CF_AF70),
            (String(repeating: "1234567890", count: 8), 6, 0x6CC5_EAB4_9A92_D617),
        ] as [(String, UInt64, UInt64)])
    func hashIsAsPublished(text: String, seed: UInt64, hash: UInt64) {
        let bytes = Array(text.utf8) + [0]
        #expect(
            bytes.withUnsafeBufferPointer { hashBytes($0.baseAddress!, bytes.count - 1, seed: seed) } == hash)
    }

    @Test(arguments: [Int64.min, -1, 0, 1, 255, 1 << 32, 0x0102_0304_0506_0708, .max])
    func hashOfAnIntegerIsThatOfItsBytes(value: Int64) {
        let bytes = (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * Int64($0))) }
        #expect(bytes.withUnsafeBufferPointer { hashBytes($0.baseAddress!, 8) } == hashInteger(value))
    }

    @Test func jsonIsWritten() {
        var writer = JsonWriter(capacity: 1)
        let arena = Arena(capacity: 16)
        writer.beginObject()
        writer.member("a\"\\\n\u{1}\u{1F}é", "x\t\r\u{7F}🙂/")
        writer.member("n", Int64.min)
        writer.name("o")
        writer.beginObject()
        writer.name("t")
        writer.value(1, valid: true, .bool, arena: arena, exactly: true)
        writer.name("z")
        writer.value(1, valid: false, .bool, arena: arena, exactly: true)
        writer.endObject()
        writer.name("e")
        writer.beginObject()
        writer.endObject()
        writer.name("d")
        writer.value(-1205, valid: true, .decimal(scale: 2), arena: arena, exactly: true)
        writer.name("r")
        writer.value(-5, valid: true, .decimal(scale: 2), arena: arena, exactly: false)
        writer.name("s")
        writer.value(arena.append("中\"").packed, valid: true, .text, arena: arena, exactly: true)
        writer.name("w")
        writer.value(1_294_222_500_250, valid: true, .timestamp, arena: arena, exactly: true)
        writer.fragment("\"f\":1")
        writer.endObject()
        #expect(
            writer.string
                == #"{"a\"\\\n\u0001\u001fé":"x\t\r"# + "\u{7F}"
                + #"🙂/","n":-9223372036854775808,"o":{"t":true,"z":null},"e":{},"#
                + #""d":"-12.05","r":-0.05,"s":"中\"","w":"2011-01-05T10:15:00.250Z","f":1}"#)
    }

    /// Random texts come back from another reader as they were; bytes that are no UTF-8 are repaired.
    @Test func jsonReadsBack() throws {
        let seed: UInt64 = 8259
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        for round in 0..<5000 {
            var bytes = (0..<random.next() % 12).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            if round % 2 == 0 { bytes = bytes.map { $0 % 0x80 } }
            var writer = JsonWriter()
            writer.beginObject()
            writer.name("x")
            bytes.withUnsafeBufferPointer { buffer in
                var empty: UInt8 = 0
                if let start = buffer.baseAddress, !buffer.isEmpty {
                    writer.text(start, buffer.count)
                } else {
                    writer.text(&empty, 0)
                }
            }
            writer.endObject()
            let read = try JSONSerialization.jsonObject(with: Data(writer.string.utf8)) as? [String: String]
            #expect(
                read?["x"].map { Array($0.utf8) } == Array(String(decoding: bytes, as: UTF8.self).utf8),
                "\(bytes)")
        }
    }

    @Test(arguments: [
        (Int64(0), "0s"), (1, "1ms"), (999, "999ms"), (1000, "1s"), (90_000, "1m30s"), (93_600_000, "1d2h"),
        (-1500, "-1s500ms"),
        (86_400_000 * 30, "30d"), (.max, "106751991167d7h12m55s807ms"), (.min, "-106751991167d7h12m55s808ms"),
    ])
    func durations(milliseconds: Int64, text: String) {
        #expect(ValueText.duration(milliseconds) == text)
    }
}
