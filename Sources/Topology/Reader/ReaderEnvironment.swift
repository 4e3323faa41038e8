import Glibc
import Records

/// What reading a topology asks of the world, as parameters.
package struct ReaderEnvironment: Sendable {
    package var variable: @Sendable (String) -> String?
    package var file: @Sendable (String) -> String?
    package var isZone: @Sendable (String) -> Bool
    package var zoneNames: @Sendable () -> [String]

    package init(
        variable: @escaping @Sendable (String) -> String?,
        file: @escaping @Sendable (String) -> String?,
        isZone: @escaping @Sendable (String) -> Bool,
        zoneNames: @escaping @Sendable () -> [String]
    ) {
        self.variable = variable
        self.file = file
        self.isZone = isZone
        self.zoneNames = zoneNames
    }

    package static let system = ReaderEnvironment(
        variable: { name in getenv(name).map { String(cString: $0) } },
        file: { path in
            guard let file = fopen(path, "r") else { return nil }
            defer { fclose(file) }
            var bytes = [UInt8](repeating: 0, count: 64 << 10)
            let count = fread(&bytes, 1, bytes.count, file)
            return String(decoding: bytes[..<count], as: UTF8.self)
        },
        isZone: { TimeZoneTable.isZone($0) },
        zoneNames: { TimeZoneTable.zoneNames() }
    )

    func zoneHint(_ name: String) -> String {
        nearest(name, among: zoneNames()).map { "; did you mean '\($0)'?" } ?? "; zones are IANA names, like Asia/Shanghai"
    }
}
