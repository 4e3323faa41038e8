import Base
import Topology

/// A file beside the topology that says what records are like.
enum SchemaFile {
    static func read(_ file: ScalarText, _ context: ReadingContext) -> [UInt8]? {
        var path = file.text
        if !path.hasPrefix("/"), let slash = context.file.lastIndex(of: "/") {
            path = context.file[...slash] + path
        }
        switch context.environment.fileBytes(path, Limits.schemaBytesMax) {
        case .success(let bytes): return bytes
        case .failure(let fault):
            context.error(file.position, fault.detail)
            return nil
        }
    }
}
