import Base
import Records

/// Numbers as binary formats have them, as those of a column.
enum BinaryNumber {
    /// An integer in two's complement, the highest byte first; nil: it does not fit, or there is none.
    static func bigEndian(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int64? {
        guard count > 0 else { return nil }
        let sign: UInt8 = bytes[0] & 0x80 == 0 ? 0 : 0xFF
        var at = 0
        while count &- at > 8 {
            guard bytes[at] == sign else { return nil }
            at &+= 1
        }
        // What was passed over only repeated the sign.
        if at > 0, (bytes[at] ^ sign) & 0x80 != 0 { return nil }
        var value: Int64 = sign == 0 ? 0 : -1
        while at < count {
            value = value &<< 8 | Int64(bytes[at])
            at &+= 1
        }
        return value
    }

    /// A binary fraction as the decimal that its shortest text says: the fewest digits that read back as the
    /// same number, which is what a writer of JSON would have written. `isSingle`: it was one of 32 bits.
    static func decimal(_ value: Double, isSingle: Bool, scale: Int, isRounded: Bool) -> Result<
        Int64, RowFailure
    > {
        // Up to so many digits are told apart by any such number, so if one of them is the number, it is the
        // shortest.
        let most = isSingle ? 1e6 : 1e15
        let factor = Double(Decimal.powerOfTen(scale))
        let scaled = (value * factor).rounded()
        if scaled.magnitude < most {
            let back = scaled / factor
            if isSingle ? Float(back) == Float(value) : back == value { return .success(Int64(scaled)) }
        }
        return slowDecimal(value, isSingle, scale, isRounded)
    }

    @inline(never)
    private static func slowDecimal(_ value: Double, _ isSingle: Bool, _ scale: Int, _ isRounded: Bool)
        -> Result<Int64, RowFailure>
    {
        guard value.isFinite else { return .failure(.outOfRange) }
        var text = isSingle ? Float(value).description : value.description
        let parsed = text.withUTF8 { bytes in
            guard let start = bytes.baseAddress else { return Result<Int64, Decimal.ParseFailure>.success(0) }
            return isRounded
                ? Decimal.parseRounded(start, bytes.count, scale: scale)
                : Decimal.parse(start, bytes.count, scale: scale)
        }
        if case .success(let number) = parsed { return .success(number) }
        return .failure(.outOfRange)
    }

    /// `value` at a scale that is larger by `factor`, or smaller by it.
    @inline(__always)
    static func scaled(_ value: Int64, by factor: Int64, divides: Bool) -> Int64? {
        if divides { return Int64(exactly: Decimal.divideHalfEven(Int128(value), Int128(factor))) }
        let (product, overflow) = value.multipliedReportingOverflow(by: factor)
        return overflow ? nil : product
    }
}
