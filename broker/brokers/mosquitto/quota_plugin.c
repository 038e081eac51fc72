/* Mosquitto plugin: the quotas of GridFleet's receivers (protocol/quota.py), at the broker.
 *
 * Of each sender and message type, a tick's budget of messages is passed on; more are refused, as the access rules refuse
 * a publication. Sender and message type are levels of the topic; access rules see to it that the sender is the client.
 * Budgets are full again with each new tick of the clock, and after REFILL_S seconds where none comes. Only the message
 * types named in the option `retain` are retained; the flag is taken off all others.
 *
 * Options: `budget` (messages), `budget_TYPE` (of one message type), `retain` and `exempt` (names with blanks between).
 * Works with the plugin interface 5 of Mosquitto 2.0 and 2.1, of which it declares what it uses.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define INTERFACE 5
#define EVENT_MESSAGE 7
#define SUCCESS 0
#define NO_MEMORY 1
#define DENIED 12
#define LOG_WARNING 4
#define REFILL_S 60
#define OWN_ROOT "gridfleet/"
#define MAX_TYPES 64
#define MAX_NAMES 64
#define SLOTS 65536    /* a power of two */
#define MAX_COUNTED 32768
#define MAX_KEY 96

struct mosquitto_opt { char *key; char *value; };
struct mosquitto_evt_message {
	void *future;
	void *client;
	char *topic;
	void *payload;
	void *properties;
	char *reason_string;
	uint32_t payloadlen;
	uint8_t qos;
	uint8_t reason_code;
	bool retain;
	void *future2[4];
};
int mosquitto_callback_register(void *identifier, int event, int (*call)(int, void *, void *), const void *data, void *user);
int mosquitto_callback_unregister(void *identifier, int event, int (*call)(int, void *, void *), const void *data);
void mosquitto_log_printf(int level, const char *format, ...);

struct text { const char *at; size_t length; };
struct names { size_t count; char *name[MAX_NAMES]; };
struct counted { uint64_t period; uint64_t flooded; uint32_t count; char key[MAX_KEY]; };

static void *plugin;
static uint32_t budget = 64;
static struct { char *name; uint32_t budget; } types[MAX_TYPES];
static size_t type_count;
static struct names retained, exempt;
static struct counted *counts;
static size_t counted;
static uint64_t period = 2;
static long long tick = -1, epoch = -1;
static time_t refilled_s;

static time_t now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static bool is_in(const struct names *names, struct text text)
{
	for (size_t each = 0; each < names->count; each++)
		if (strlen(names->name[each]) == text.length && !memcmp(names->name[each], text.at, text.length)) return true;
	return false;
}

static struct text level_from(const char *at)
{
	struct text level = {at, strcspn(at, "/")};
	return level;
}

/* Returns what follows the next slash; the end of the text where there is none. */
static const char *next_level(const char *at)
{
	at += strcspn(at, "/");
	return *at ? at + 1 : at;
}

/* Of gridfleet/SITE/TYPE/…/SENDER the type and the sender; of homeassistant/device/OBJECT/config root and object. */
static void parse(const char *topic, struct text *type, struct text *sender)
{
	const char *third = next_level(next_level(topic)), *last = strrchr(topic, '/');
	bool own = !strncmp(topic, OWN_ROOT, sizeof OWN_ROOT - 1);
	*type = level_from(own ? third : topic);
	*sender = level_from(own && last ? last + 1 : third);
}

static uint32_t budget_of(struct text type)
{
	for (size_t each = 0; each < type_count; each++)
		if (strlen(types[each].name) == type.length && !memcmp(types[each].name, type.at, type.length))
			return types[each].budget;
	return budget;
}

/* Returns the count of a message type and sender in this period; NULL where the key is too long. */
static struct counted *find(struct text type, struct text sender)
{
	char key[MAX_KEY];
	uint32_t hash = 2166136261u;
	int length = snprintf(key, sizeof key, "%.*s %.*s", (int)type.length, type.at, (int)sender.length, sender.at);
	if (length < 0 || (size_t)length >= sizeof key) return NULL;
	for (const char *at = key; *at; at++) hash = (hash ^ (uint8_t)*at) * 16777619u;
	if (counted >= MAX_COUNTED) {
		memset(counts, 0, SLOTS * sizeof *counts);
		counted = 0;
	}
	for (uint32_t slot = hash;; slot++) {
		struct counted *each = &counts[slot & (SLOTS - 1)];
		if (!each->period) {
			memcpy(each->key, key, (size_t)length + 1);
			each->period = period;
			counted++;
			return each;
		}
		if (!strcmp(each->key, key)) return each;
	}
}

static long long number_after(const struct mosquitto_evt_message *message, const char *name)
{
	const char *at = message->payload, *end = at + message->payloadlen;
	size_t length = strlen(name);
	for (; at && at + length < end; at++)
		if (!memcmp(at, name, length)) return strtoll(at + length, NULL, 10); /* Mosquitto ends payloads with 0 */
	return -1;
}

static void refill(void)
{
	period++;
	refilled_s = now_s();
}

static void on_tick(const struct mosquitto_evt_message *message)
{
	long long new_tick = number_after(message, "\"tick\":"), new_epoch = number_after(message, "\"epoch\":");
	if (new_tick == tick && new_epoch == epoch) return;
	tick = new_tick;
	epoch = new_epoch;
	refill();
}

static int on_message(int event, void *data, void *user)
{
	struct mosquitto_evt_message *message = data;
	struct text type, sender;
	struct counted *count;
	(void)event;
	(void)user;
	parse(message->topic, &type, &sender);
	if (message->retain && !is_in(&retained, type)) message->retain = false;
	if (is_in(&exempt, sender)) {
		if (type.length == 4 && !memcmp(type.at, "tick", 4)) on_tick(message);
		return SUCCESS;
	}
	count = find(type, sender);
	if (!count) return DENIED;
	if (count->period != period) {
		count->period = period;
		count->count = 0;
	}
	if (++count->count <= budget_of(type)) return SUCCESS;
	if (now_s() - refilled_s >= REFILL_S) {
		refill();
		count->period = period;
		count->count = 1;
		return SUCCESS;
	}
	if (count->flooded + 1 < period)
		mosquitto_log_printf(LOG_WARNING, "quota: refuses messages of %.*s on %s: more than the %u of a tick, a flood.",
			(int)sender.length, sender.at, message->topic, budget_of(type));
	count->flooded = period;
	return DENIED;
}

static int split(struct names *names, const char *value)
{
	char *rest = strdup(value), *name, *state = NULL;
	if (!rest) return NO_MEMORY;
	for (name = strtok_r(rest, " ", &state); name && names->count < MAX_NAMES; name = strtok_r(NULL, " ", &state))
		names->name[names->count++] = name;
	return SUCCESS;
}

int mosquitto_plugin_version(int count, const int *versions)
{
	for (int each = 0; each < count; each++)
		if (versions[each] == INTERFACE) return INTERFACE;
	return -1;
}

int mosquitto_plugin_init(void *identifier, void **user, struct mosquitto_opt *options, int count)
{
	(void)user;
	plugin = identifier;
	counts = calloc(SLOTS, sizeof *counts);
	if (!counts) return NO_MEMORY;
	for (int each = 0; each < count; each++) {
		const char *key = options[each].key, *value = options[each].value;
		if (!strcmp(key, "budget")) budget = (uint32_t)strtoul(value, NULL, 10);
		else if (!strcmp(key, "retain") && split(&retained, value)) return NO_MEMORY;
		else if (!strcmp(key, "exempt") && split(&exempt, value)) return NO_MEMORY;
		else if (!strncmp(key, "budget_", 7) && type_count < MAX_TYPES) {
			types[type_count].name = strdup(key + 7);
			types[type_count++].budget = (uint32_t)strtoul(value, NULL, 10);
		}
	}
	refilled_s = now_s();
	return mosquitto_callback_register(plugin, EVENT_MESSAGE, on_message, NULL, NULL);
}

int mosquitto_plugin_cleanup(void *user, struct mosquitto_opt *options, int count)
{
	(void)user;
	(void)options;
	(void)count;
	mosquitto_callback_unregister(plugin, EVENT_MESSAGE, on_message, NULL);
	free(counts);
	return SUCCESS;
}
