import CHiredis
import CLzma
import CRdkafka
import CZlib

/// The C libraries that the connectors run with.
package enum LibraryVersions {
    package static var all: [(name: String, version: String)] {
        [
            ("librdkafka", String(cString: rd_kafka_version_str())), ("zlib", String(cString: zlibVersion())),
            ("liblzma", String(cString: lzma_version_string())),
            ("hiredis", "\(HIREDIS_MAJOR).\(HIREDIS_MINOR).\(HIREDIS_PATCH)"),
        ]
    }
}
