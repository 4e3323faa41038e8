import Base
import Engine

enum GuessCommand: Command {
    static let name = "guess"
    static let summary = "write a topology that reads a file"
    static let help = """
        usage: millrace guess FILE [--name NAME] [--zone ZONE]

        Looks at the first 10,000 records of a file and writes a topology that reads it: format, encoding,
        delimiter, header and footer, the type of each field and how it is written, the event time, and
        candidates for a key. What is not sure stands in comments that begin with `unsure`. The file may be
        plain, gzip or xz, or a folder, whose first file is looked at.

          --name NAME   of the topology and its source, default: from the file's name
          --zone ZONE   of times without one, as Asia/Shanghai

        example: millrace guess orders.csv > orders.yaml && millrace replay orders.yaml --input orders=orders.csv
        """
    static let options: [String: Arguments.Kind] = ["--name": .value, "--zone": .value]

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        guard arguments.files.count == 1, let path = arguments.files.first else {
            throw Fault(.user, "one file is expected, like orders.csv")
        }
        let name = arguments.value("--name") ?? SourceName.of(path)
        print(try SourceGuess(path: path, name: name, zone: arguments.value("--zone")).yaml, terminator: "")
        return ExitCode.done
    }
}

/// What a source of a file is called.
private enum SourceName {
    /// Small letters, digits and hyphens of the file's name up to its first dot.
    static func of(_ path: String) -> String {
        let file = path.split(separator: "/").last ?? ""
        let words = file.prefix { $0 != "." }.lowercased().split { letter in
            !(letter.isASCII && (letter.isLetter || letter.isNumber))
        }
        let name = words.joined(separator: "-")
        return name.first?.isLetter == true ? String(name.prefix(60)) : "records"
    }
}
