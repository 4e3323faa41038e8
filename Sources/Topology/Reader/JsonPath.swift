/// Paths into JSON that lead through arrays.
enum JsonPath {
    /// `items[0].price` as `items`, `[0]`, `price`; nil: it has no place in an array, or it is no path.
    static func withPlaces(_ text: String) -> [String]? {
        guard text.contains("[") else { return nil }
        var path: [String] = []
        for part in text.split(separator: ".", omittingEmptySubsequences: false) {
            let name = part.prefix { $0 != "[" }
            guard !name.isEmpty, name.unicodeScalars.allSatisfy(continuesName) else { return nil }
            path.append(String(name))
            var rest = part.dropFirst(name.count)
            while !rest.isEmpty {
                let digits = rest.dropFirst().prefix { $0.isASCII && $0.isNumber }
                guard rest.first == "[", !digits.isEmpty, digits.count <= 9,
                    rest.dropFirst(1 + digits.count).first == "]"
                else {
                    return nil
                }
                path.append("[\(Int(digits) ?? 0)]")
                rest = rest.dropFirst(digits.count + 2)
            }
        }
        return path
    }

    private static func continuesName(_ scalar: UnicodeScalar) -> Bool {
        scalar.properties.isAlphabetic || scalar == "_" || scalar == "@" || ("0"..."9").contains(scalar)
    }
}
