import Base
import Models

enum ModelCommand: Command {
    static let name = "model"
    static let summary = "models that score in the stream: look at one, check it, write its card, score rows"
    static let help = """
        usage: millrace model inspect FOLDER|FILE
               millrace model check FOLDER…
               millrace model card FILE --rows ROWS.csv [--name NAME] [--version V] [--iterations N] [--card CARD]
               millrace model score FOLDER|FILE ROWS.csv

        A model is a folder with card.json and the file that it names: XGBoost (.json and .ubj of save_model),
        LightGBM (.txt of save_model), a forest of scikit-learn (forest.json), an LSTM (safetensors).

          inspect   what the file holds: trainer, objective, features, trees
          check     the file is the one that the card was written for, and reproduces the card's sample rows; else
                    exit code 1
          card      writes card.json beside a model that was trained elsewhere, with the first 20 rows as samples. A
                    column `margin` (`margin.0`, `margin.1`, … of several outputs) is what the trainer's library
                    predicts for the row, and must be met; without one the samples hold what Millrace computes
          score     prints row,margin,score for each row of a CSV, whose header names the features; nothing, NA, NaN
                    and null are missing. A margin is the shortest text that reads back as the same float

          --rows ROWS.csv   features by the header's names
          --name NAME       of the model; default: the file's name
          --version V       default 1
          --iterations N    use the first N rounds (early stopping); default: all, as the library's predict does
          --card CARD       a card with what the file does not say (a network's layers and channels, calibration,
                            bands); its file, sha256, histograms and samples are written anew

        example: millrace model card default-risk/model.ubj --rows rows.csv && millrace model check default-risk
        """
    static let options: [String: Arguments.Kind] = [
        "--rows": .value, "--name": .value, "--version": .value, "--iterations": .value, "--card": .value,
    ]

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        guard let action = arguments.files.first else {
            throw Fault(.user, "inspect, check, card or score is expected")
        }
        let files = Array(arguments.files.dropFirst())
        switch action {
        case "inspect": return try inspect(files)
        case "check": return try check(files)
        case "card": return try card(files, arguments)
        case "score": return try score(files)
        default: throw Fault(.user, "there is no 'model \(action)'; inspect, check, card and score there are")
        }
    }

    private static func inspect(_ files: [String]) throws(Fault) -> Int32 {
        guard files.count == 1 else { throw Fault(.user, "one folder or file is expected") }
        if ModelFolder.isFolder(files[0]) {
            let model = try ModelFolder.load(files[0])
            let card = model.card
            put("\(card.name) \(card.version): \(card.format.rawValue), \(card.file), sha256 \(card.sha256)")
            put("samples: \(card.samples.count), each as the card says")
            switch model.body {
            case .trees(let trees): describe(trees)
            case .network(let network):
                let units = network.architecture.layers.map { "\($0.units)" }.joined(separator: ", ")
                put(
                    "LSTM of \(units) units, \(network.architecture.steps) steps of \(network.architecture.channels) channels, \(network.parameterCount) parameters, \(network.operations) operations a sequence"
                )
            }
            return ExitCode.done
        }
        let (model, format) = try ModelFolder.named(files[0]) { () throws(Fault) in
            try ModelFile.read(try FileText.bytes(of: files[0], bytesMax: Limits.modelBytesMax))
        }
        put("\(format.rawValue)")
        describe(model)
        return ExitCode.done
    }

    private static func describe(_ model: Model) {
        put("trainer: \(model.trainer); objective: \(model.objective); outputs: \(model.outputs)")
        put("trees: \(model.treeCount), \(model.nodeCount) nodes, depth \(model.depth)")
        put("features: \(model.features.count)")
        for (index, feature) in model.features.enumerated() {
            let kind =
                feature.isCategorical
                ? feature.categories.isEmpty
                    ? "category codes"
                    : "categories \(feature.categories.prefix(8).joined(separator: ", "))\(feature.categories.count > 8 ? " …" : "")"
                : "number"
            put("  \(index + 1) \(feature.name ?? "(the file names none; the card must)"): \(kind)")
        }
    }

    private static func check(_ folders: [String]) throws(Fault) -> Int32 {
        guard !folders.isEmpty else { throw Fault(.user, "a folder with a card.json is expected") }
        var failed = false
        for folder in folders {
            do throws(Fault) {
                let model = try ModelFolder.load(folder)
                put(
                    "\(folder): \(model.card.name) \(model.card.version), \(model.card.samples.count) samples agree"
                )
            } catch {
                say(error.detail)
                failed = true
            }
        }
        return failed ? ExitCode.failed : ExitCode.done
    }

    private static func card(_ files: [String], _ arguments: Arguments) throws(Fault) -> Int32 {
        guard files.count == 1, let rowsPath = arguments.value("--rows") else {
            throw Fault(.user, "a model's file and --rows ROWS.csv are expected")
        }
        let (folder, file) = ModelFolder.split(files[0])
        let bytes = try FileText.bytes(of: files[0], bytesMax: Limits.modelBytesMax)
        let rows = try ModelFolder.named(rowsPath) { () throws(Fault) in
            try FeatureRows(try FileText.bytes(of: rowsPath, bytesMax: Limits.modelBytesMax))
        }
        var draft: ModelCard?
        if let path = arguments.value("--card") {
            draft = try ModelFolder.named(path) { () throws(Fault) in
                try ModelCard(try FileText.bytes(of: path, bytesMax: Limits.modelBytesMax))
            }
        }
        let card = try ModelFolder.named(files[0]) { () throws(Fault) in
            try ModelCard.draft(
                file: file, bytes, rows: rows, name: arguments.value("--name") ?? draft?.name ?? file,
                version: arguments.value("--version") ?? draft?.version ?? "1",
                iterations: try arguments.integer("--iterations", in: 1...Int.max) ?? draft?.iterations,
                from: draft)
        }
        let path = "\(folder)/card.json"
        try ModelFolder.write(card.json, to: path)
        put("\(path): \(card.features.count) features, \(card.samples.count) samples")
        return ExitCode.done
    }

    private static func score(_ files: [String]) throws(Fault) -> Int32 {
        guard files.count == 2 else {
            throw Fault(.user, "a model's folder or file, and a CSV with rows are expected")
        }
        let rows = try ModelFolder.named(files[1]) { () throws(Fault) in
            try FeatureRows(try FileText.bytes(of: files[1], bytesMax: Limits.modelBytesMax))
        }
        let model: LoadedModel
        if ModelFolder.isFolder(files[0]) {
            model = try ModelFolder.load(files[0])
        } else {
            // A file by itself is read as its card would say.
            let bytes = try FileText.bytes(of: files[0], bytesMax: Limits.modelBytesMax)
            model = try ModelFolder.named(files[0]) { () throws(Fault) in
                let card = try ModelCard.draft(
                    file: ModelFolder.split(files[0]).file, bytes, rows: rows.first(1), name: files[0],
                    version: "1", iterations: nil, from: nil)
                return try LoadedModel(card: card, file: bytes)
            }
        }
        try ModelFolder.named(files[1]) { () throws(Fault) in
            var output = ""
            try RowScoring(model).score(rows) { row, margins, scores in
                if row == 0 { output += RowScoring.header(outputs: margins.count) + "\n" }
                output += "\(row + 1)"
                for (margin, score) in zip(margins, scores) { output += ",\(model.text(margin)),\(score)" }
                output += "\n"
                if output.utf8.count > 1 << 16 {
                    Output.raw(output)
                    output = ""
                }
            }
            Output.raw(output)
        }
        return ExitCode.done
    }
}
