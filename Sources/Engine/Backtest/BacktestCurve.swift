import Base
import Records

/// `limit=1000..3000/20`: values of a parameter, evenly spread.
package struct BacktestCurve: Sendable {
    package var parameter: String
    package var values: [String]

    private static let valuesDefault = 20
    private static let valuesMax = 100

    package init(_ text: String) throws(Fault) {
        let example =
            "--curve takes PARAMETER=FROM..TO, like limit=1000..3000, or limit=1000..3000/40 for so many values; not '\(text)'"
        guard let equals = text.firstIndex(of: "="), let dots = text.firstRange(of: "..") else {
            throw Fault(.user, example)
        }
        parameter = String(text[..<equals])
        var rest = text[dots.upperBound...]
        var count = Self.valuesDefault
        if let slash = rest.firstIndex(of: "/") {
            guard let number = Int(rest[rest.index(after: slash)...]), (2...Self.valuesMax).contains(number)
            else {
                throw Fault(.user, "--curve: from 2 to \(Self.valuesMax) values; \(example)")
            }
            count = number
            rest = rest[..<slash]
        }
        guard dots.lowerBound > equals, !parameter.isEmpty else { throw Fault(.user, example) }
        let (from, to) = (String(text[text.index(after: equals)..<dots.lowerBound]), String(rest))
        let places = max(Self.places(from), Self.places(to))
        // One place more than they are written with, where whole steps would be uneven.
        let scale = min(9, places)
        guard case .success(let low) = Decimal.parse(from, scale: scale),
            case .success(let high) = Decimal.parse(to, scale: scale),
            low < high
        else { throw Fault(.user, "--curve: \(from) and \(to) are to be numbers, the lesser one first") }
        let span = Int128(high) - Int128(low)
        var values: [String] = []
        for step in 0..<count {
            let value = Int128(low) + (span * Int128(step) + Int128(count - 1) / 2) / Int128(count - 1)
            let text = Decimal.string(value, scale: scale)
            if values.last != text { values.append(text) }
        }
        self.values = values
    }

    private static func places(_ text: String) -> Int {
        guard let dot = text.firstIndex(of: ".") else { return 0 }
        return text[text.index(after: dot)...].count
    }
}
