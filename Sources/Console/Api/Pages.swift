import Base
import CPages
import Connectors
import Http
import Models

/// The static files: those in the binary, or of a folder while they are written.
struct Pages: Sendable {
    private struct File: Sendable {
        var bytes: [UInt8]
        var packed: [UInt8]?
        var tag: String
    }

    private let files: [String: File]
    private let folder: String?
    let openapi: [UInt8]
    /// Of the pages, by language and key.
    let texts: [String: [String: String]]

    init(folder: String?) {
        self.folder = folder
        var files: [String: File] = [:]
        var openapi: [UInt8] = []
        for (name, bytes) in Self.embedded {
            if name == "openapi.json" { openapi = bytes } else { files[name] = Self.file(name, bytes) }
        }
        (self.files, self.openapi) = (files, openapi)
        var texts: [String: [String: String]] = [:]
        for language in ["en", "zh"] {
            guard let bytes = files["\(language).json"]?.bytes, let read = try? JsonDocument.read(bytes),
                case .object(let members) = read
            else { continue }
            for member in members {
                if case .text(let text) = member.value { texts[language, default: [:]][member.name] = text }
            }
        }
        self.texts = texts
    }

    private static var embedded: [(name: String, bytes: [UInt8])] {
        var found: [(String, [UInt8])] = []
        var place = mr_pages_begin()
        while let page = place?.pointee, let name = page.name {
            found.append(
                (String(cString: name), Array(UnsafeBufferPointer(start: page.bytes, count: page.count))))
            place = place?.successor()
        }
        return found
    }

    func bytes(_ name: String) -> [UInt8]? { name == "openapi.json" ? openapi : files[name]?.bytes }

    /// Names of what is in the binary.
    static var names: [String] { embedded.map(\.name) }

    private static func file(_ name: String, _ bytes: [UInt8]) -> File {
        let isText = ["html", "js", "css", "json", "svg", "txt", "md"].contains { name.hasSuffix(".\($0)") }
        let packed = isText ? Gzip.packed(bytes) : nil
        return File(
            bytes: bytes, packed: packed.flatMap { $0.count < bytes.count ? $0 : nil },
            tag: "\"\(Sha256.hex(bytes).prefix(32))\"")
    }

    func answer(_ request: ServedRequest) -> ServedAnswer {
        guard request.method == "GET" || request.method == "HEAD" else {
            return ServedAnswer(405, text: "only GET\n")
        }
        var name = String(request.path.drop { $0 == "/" })
        if name.hasPrefix(Self.editorPath) { return editor(name, request) }
        // Pages are one document, whose state is in the address.
        let isDocument = !name.split(separator: "/").contains { $0.contains(".") }
        if name.isEmpty || isDocument { name = "index.html" }
        guard !name.split(separator: "/").contains(where: { $0.hasPrefix(".") }), let file = file(name) else {
            return ServedAnswer(404, text: "there is no such page\n")
        }
        var headers = [
            ("Content-Type", Self.type(name)), ("ETag", file.tag), ("Cache-Control", "no-cache"),
            ("Vary", "Accept-Encoding"),
        ]
        let known = (request.headers["if-none-match"] ?? "").split(separator: ",").map {
            $0.filter { $0 != " " }
        }
        if known.contains(where: { $0 == file.tag || $0 == "W/\(file.tag)" }) {
            return ServedAnswer(304, headers: headers)
        }
        if let packed = file.packed, (request.headers["accept-encoding"] ?? "").contains("gzip") {
            headers.append(("Content-Encoding", "gzip"))
            return ServedAnswer(200, headers: headers, body: packed)
        }
        return ServedAnswer(200, headers: headers, body: file.bytes)
    }

    private static let editorPath = "lib/codemirror/"
    /// Where Debian's package puts it; pages do without.
    private static let editorFolder = "/usr/share/javascript/codemirror/"

    private func editor(_ name: String, _ request: ServedRequest) -> ServedAnswer {
        let name = String(name.dropFirst(Self.editorPath.count))
        guard !name.split(separator: "/").contains(where: { $0.hasPrefix(".") }),
            [".js", ".css"].contains(where: { name.hasSuffix($0) }),
            let file = Self.read(Self.editorFolder + name)
        else {
            // Who only asks whether it is there gets an answer that is no error.
            return request.method == "HEAD"
                ? ServedAnswer(204) : ServedAnswer(404, text: "libjs-codemirror is not installed here\n")
        }
        return ServedAnswer(
            200,
            headers: [
                ("Content-Type", Self.type(name)), ("ETag", file.tag), ("Cache-Control", "max-age=86400"),
            ], body: file.bytes)
    }

    private func file(_ name: String) -> File? {
        folder.map { Self.read("\($0)/\(name)") } ?? files[name]
    }

    private static func read(_ path: String) -> File? {
        (try? FileText.bytes(of: path, bytesMax: 16 << 20)).map { file(path, $0) }
    }

    private static func type(_ name: String) -> String {
        switch name.split(separator: ".").last {
        case "html": "text/html; charset=utf-8"
        case "js": "text/javascript; charset=utf-8"
        case "css": "text/css; charset=utf-8"
        case "json": "application/json"
        case "svg": "image/svg+xml"
        case "woff2": "font/woff2"
        case "png": "image/png"
        case "ico": "image/x-icon"
        default: "text/plain; charset=utf-8"
        }
    }

    /// By operation, the names that its body and its query may have, of an OpenAPI text.
    static func names(_ openapi: [UInt8]) throws(Fault) -> [String: (body: Set<String>, query: Set<String>)] {
        var names: [String: (body: Set<String>, query: Set<String>)] = [:]
        for (_, path) in try DocumentNode(try JsonDocument.read(openapi))["paths"].members {
            for (_, operation) in try path.members {
                var body: Set<String> = []
                var query: Set<String> = ["last"]
                if let content = operation.optional("requestBody") {
                    let schema = try content["content"]["application/json"]["schema"]
                    for (name, _) in try schema["properties"].members { body.insert(name) }
                }
                for parameter in try operation.optional("parameters")?.list ?? []
                where try parameter["in"].text == "query" {
                    query.insert(try parameter["name"].text)
                }
                if try operation["operationId"].text != "streamEvents" { query.remove("last") }
                names[try operation["operationId"].text] = (body, query)
            }
        }
        return names
    }
}
