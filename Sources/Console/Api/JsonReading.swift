import Base
import Models

/// JSON texts of topics and requests, as values.
enum JsonReading {
    static func value(_ text: String) throws(Fault) -> Json { Json(try JsonDocument.read(Array(text.utf8))) }
}
