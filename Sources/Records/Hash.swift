/// A hash of bytes: wyhash, final version 4.2 (Wang Yi, github.com/wangyi-fudan/wyhash, public domain), with
/// its own secrets. It passes SMHasher: keys that count up, or differ in a digit, are as far apart in it as
/// any others, so that its bits may be counted with, taken as a place in a table, or as a bucket. The same on
/// every machine, so that what it decides can be stored.
@inlinable
package func hashBytes(_ bytes: UnsafePointer<UInt8>, _ count: Int, seed: UInt64 = 0) -> UInt64 {
    let raw = UnsafeRawPointer(bytes)
    var seed = seed ^ HashWords.mix(seed ^ HashWords.first, HashWords.second)
    let a: UInt64
    let b: UInt64
    if count <= 16 {
        if count >= 4 {
            // Two words from the start and two from the end, which overlap.
            let step = (count >> 3) << 2
            a = HashWords.four(raw, 0) << 32 | HashWords.four(raw, step)
            b = HashWords.four(raw, count &- 4) << 32 | HashWords.four(raw, count &- 4 &- step)
        } else if count > 0 {
            a = UInt64(bytes[0]) << 16 | UInt64(bytes[count >> 1]) << 8 | UInt64(bytes[count &- 1])
            b = 0
        } else {
            (a, b) = (0, 0)
        }
    } else {
        var at = 0
        var left = count
        if left >= 48 {
            var (seed1, seed2) = (seed, seed)
            repeat {
                seed = HashWords.mix(
                    HashWords.eight(raw, at) ^ HashWords.second, HashWords.eight(raw, at &+ 8) ^ seed)
                seed1 = HashWords.mix(
                    HashWords.eight(raw, at &+ 16) ^ HashWords.third, HashWords.eight(raw, at &+ 24) ^ seed1)
                seed2 = HashWords.mix(
                    HashWords.eight(raw, at &+ 32) ^ HashWords.fourth, HashWords.eight(raw, at &+ 40) ^ seed2)
                at &+= 48
                left &-= 48
            } while left >= 48
            seed ^= seed1 ^ seed2
        }
        while left > 16 {
            seed = HashWords.mix(
                HashWords.eight(raw, at) ^ HashWords.second, HashWords.eight(raw, at &+ 8) ^ seed)
            at &+= 16
            left &-= 16
        }
        a = HashWords.eight(raw, at &+ left &- 16)
        b = HashWords.eight(raw, at &+ left &- 8)
    }
    return HashWords.finish(a, b, seed: seed, count: count)
}

/// `hashBytes` of the eight bytes of an integer, little endian.
@inlinable @inline(__always)
package func hashInteger(_ value: Int64) -> UInt64 {
    let word = UInt64(bitPattern: value)
    let swapped = word << 32 | word >> 32
    return HashWords.finish(
        swapped, word, seed: HashWords.mix(HashWords.first, HashWords.second), count: 8)
}

/// The secrets and steps of wyhash. Computed, so that another module's loop has them as constants.
@usableFromInline
enum HashWords {
    @inlinable static var first: UInt64 { 0x2D35_8DCC_AA6C_78A5 }
    @inlinable static var second: UInt64 { 0x8BB8_4B93_962E_ACC9 }
    @inlinable static var third: UInt64 { 0x4B33_A62E_D433_D4A3 }
    @inlinable static var fourth: UInt64 { 0x4D5A_2DA5_1DE1_AA47 }

    @inlinable @inline(__always)
    static func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = a.multipliedFullWidth(by: b)
        return product.high ^ product.low
    }

    @inlinable @inline(__always)
    static func finish(_ a: UInt64, _ b: UInt64, seed: UInt64, count: Int) -> UInt64 {
        let product = (a ^ second).multipliedFullWidth(by: b ^ seed)
        return mix(product.low ^ first ^ UInt64(truncatingIfNeeded: count), product.high ^ second)
    }

    @inlinable @inline(__always)
    static func four(_ bytes: UnsafeRawPointer, _ at: Int) -> UInt64 {
        UInt64(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
    }

    @inlinable @inline(__always)
    static func eight(_ bytes: UnsafeRawPointer, _ at: Int) -> UInt64 {
        UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
    }
}

/// A hash of eight bytes a step with one multiplication each, for what others keep: ids of alerts, the sums
/// of snapshot files, fingerprints of a repartition topic's columns. Its values are apart, but where keys
/// count up its bits are not evenly spread; count with `hashBytes`.
@inlinable
package func foldBytes(_ bytes: UnsafePointer<UInt8>, _ count: Int, seed: UInt64 = 0) -> UInt64 {
    let raw = UnsafeRawPointer(bytes)
    var hash = seed ^ 0xA076_1D64_78BD_642F
    var position = 0
    while position &+ 8 <= count {
        hash = HashWords.mix(hash ^ HashWords.eight(raw, position), 0xE703_7ED1_A0B4_28DB)
        position &+= 8
    }
    var tail: UInt64 = 0
    if count >= 8 {
        if position < count { tail = HashWords.eight(raw, count &- 8) }
    } else {
        var shift: UInt64 = 0
        while position < count {
            tail |= UInt64(bytes[position]) &<< shift
            shift &+= 8
            position &+= 1
        }
    }
    return HashWords.mix(hash ^ tail, UInt64(truncatingIfNeeded: count) ^ 0x8EBC_6AF0_9C88_C6E3)
}

/// The same for one 64-bit word.
@inlinable @inline(__always)
package func hashWord(_ word: UInt64, seed: UInt64 = 0) -> UInt64 {
    HashWords.mix(word ^ seed ^ 0xA076_1D64_78BD_642F, 0xE703_7ED1_A0B4_28DB)
}
