import io.moquette.broker.Server;
import io.moquette.broker.config.MemoryConfig;
import java.util.Properties;

/** Moquette, for any client: Broker PORT. */
public class Broker {
    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.put("host", "127.0.0.1");
        settings.put("port", arguments[0]);
        settings.put("allow_anonymous", "true");
        settings.put("persistence_enabled", "false");
        settings.put("netty.mqtt.message_size", "65536");
        new Server().startServer(new MemoryConfig(settings));
        Thread.sleep(Long.MAX_VALUE);
    }
}
