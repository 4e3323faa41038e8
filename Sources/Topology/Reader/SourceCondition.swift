/// `where` in a source.
enum SourceCondition {
    static func read(_ mapping: MappingReader, _ draft: SourceDraft, zone: String?, _ context: ReadingContext)
        -> Expression?
    {
        guard let text = mapping.text("where", example: "where: kind == \"paid\"") else { return nil }
        if draft.isTable {
            context.error(
                mapping.keyPosition("where"),
                "where is for streams, and \(mapping.what) is a table; write the condition into the where of the step that joins it"
            )
            return nil
        }
        var scope = ExpressionScope(
            columns: draft.columns, nameKind: "field of \(mapping.what)", zone: zone,
            zones: context.environment.zones)
        scope.isComplete = draft.isComplete
        var checker = ExpressionChecker(scope) { _ in text.position }
        return context.check(text, &checker) { $0.checkCondition($1, "where") }
    }
}
