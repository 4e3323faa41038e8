import java.time.Instant;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;

/** What the peers read of an order; the merchant is the record's key. */
record Order(String kind, long cents, long time) {
    private static final JsonFactory JSON = new JsonFactory();

    /** In one pass of a streaming parser. */
    static Order parse(byte[] bytes) {
        String kind = "";
        long cents = 0;
        long time = 0;
        try (JsonParser parser = JSON.createParser(bytes)) {
            parser.nextToken();
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String name = parser.currentName();
                parser.nextToken();
                switch (name) {
                    case "kind" -> kind = parser.getText();
                    case "amount" -> cents = parser.getDecimalValue().movePointRight(2).longValueExact();
                    case "event_time" -> time = Instant.parse(parser.getText()).toEpochMilli();
                    default -> parser.skipChildren();
                }
            }
        } catch (Exception error) {
            throw new IllegalArgumentException(error);
        }
        return new Order(kind, cents, time);
    }
}
