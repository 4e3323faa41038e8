import Connectors

/// What `millrace --version` says.
enum Version {
    static let number = "0.9.0"

    #if compiler(>=6.4)
        private static let compiler = "6.4 or later"
    #elseif compiler(>=6.3)
        private static let compiler = "6.3"
    #else
        private static let compiler = "6.2"
    #endif

    #if DEBUG
        private static let build = "debug build"
    #elseif VERIFY
        private static let build = "build for tests"
    #else
        private static let build = "release build"
    #endif

    static var text: String {
        let libraries = LibraryVersions.all.map { "\($0.name) \($0.version)" }.joined(separator: ", ")
        return "millrace \(number)\n\(build), Swift \(compiler); \(libraries)"
    }
}
