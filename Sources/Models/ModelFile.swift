import Base

/// What a model's file says, by its own look.
package enum ModelFile {
    /// Reads trees. Throws a fault of the user that says what the file is, and the way out, where it is none
    /// of ours.
    package static func read(_ bytes: [UInt8], iterations: Int? = nil) throws(Fault) -> (
        model: Model, format: ModelCard.Format
    ) {
        switch try format(of: bytes) {
        case .xgboostJson:
            return (
                try XgboostReader.read(try JsonDocument.read(bytes), iterations: iterations), .xgboostJson
            )
        case .xgboostUbj:
            return (try XgboostReader.read(try UbjDocument.read(bytes), iterations: iterations), .xgboostUbj)
        case .lightgbm:
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw Fault(.user, "a text that is not UTF-8")
            }
            return (try LightgbmReader.read(text, iterations: iterations), .lightgbm)
        case .forest:
            if iterations != nil { throw Fault(.user, "iterations: a forest has none") }
            return (try ForestReader.read(try JsonDocument.read(bytes)), .forest)
        case .lstm:
            throw Fault(
                .user,
                "safetensors: a network is read with its card, which says how its tensors are put together")
        }
    }

    package static func format(of bytes: [UInt8]) throws(Fault) -> ModelCard.Format {
        if bytes.isEmpty { throw Fault(.user, "an empty file") }
        func begins(_ prefix: String) -> Bool { bytes.starts(with: prefix.utf8) }
        func has(_ text: String) -> Bool { contains(bytes.prefix(4096), text) }
        if begins("tree\n") || begins("tree\r\n") { return .lightgbm }
        if bytes.count > 9, bytes[8] == UInt8(ascii: "{"), bytes[6] == 0, bytes[7] == 0 { return .lstm }
        if bytes[0] == UInt8(ascii: "{") {
            // UBJSON's first member begins with the type of its name's length.
            if bytes.count > 1, "iUIlL$#".utf8.contains(bytes[1]) { return .xgboostUbj }
            if has("\"millrace-forest\"") { return .forest }
            return .xgboostJson
        }
        if bytes[0] == 0x80 || begins("PK") && has("data.pkl") || contains(bytes.prefix(256), "sklearn") {
            throw Fault(
                .user,
                "a pickle or joblib file, which runs code when it is read; export it: XGBoost and LightGBM with save_model, a scikit-learn "
                    + "forest with deploy/train/export_forest.py, PyTorch's weights with safetensors")
        }
        if begins("\u{89}HDF") || bytes.starts(with: [0x89, 0x48, 0x44, 0x46]) {
            throw Fault(.user, "an HDF5 file; save the network's weights with safetensors")
        }
        if begins("PK") {
            throw Fault(.user, "a zip archive (of Keras or PyTorch?); save the weights with safetensors")
        }
        if begins("binf") || begins("bs64") {
            throw Fault(
                .user, "a binary model of XGBoost before 1.6; load it there and save_model('model.ubj')")
        }
        if bytes[0] == 0x08,
            has("onnx") || has("sklearn") || has("pytorch") || has("ir_version")
                || bytes.count > 2 && bytes[2] == 0x12
        {
            throw Fault(
                .user,
                "an ONNX file, which loses where missing values go; save the model itself: XGBoost and LightGBM with save_model"
            )
        }
        throw Fault(
            .user,
            "no model that is read: XGBoost (.json, .ubj), LightGBM (.txt), forest.json and safetensors with a card are"
        )
    }

    private static func contains(_ bytes: ArraySlice<UInt8>, _ text: String) -> Bool {
        let wanted = Array(text.utf8)
        guard bytes.count >= wanted.count else { return false }
        return (bytes.startIndex...bytes.endIndex - wanted.count).contains {
            bytes[$0..<$0 + wanted.count].elementsEqual(wanted)
        }
    }
}
