/// YAML texts outside of topology files: an alert's JSON is YAML too.
package enum YamlText {
    /// The document, nil where it has a mistake.
    package static func read(_ text: String) -> YamlNode? {
        let (root, diagnostics) = YamlReader.read(text, file: "")
        return diagnostics.isEmpty ? root : nil
    }
}
