#include "gitproto/advert.h"

#include "gitproto/base/check.h"
#include "gitproto/caps.h"

/* What is put in the place of learned capabilities. */
struct fill {
	const struct reflist *refs;
	const struct advert_opts *opts;
	bool head; /* HEAD is symbolic and resolves */
};

enum place { PLACE_SYMREF, PLACE_PUSH_CERT, PLACE_SESSION, PLACE_FORMAT, N_PLACES };

/* In the order in which git writes them; `before`: where one goes that was not learned. */
static const struct {
	const char *name;
	const char *before[5];
} places[N_PLACES] = {
	[PLACE_SYMREF] = { "symref", { "filter", "session-id", "object-format", "agent" } },
	[PLACE_PUSH_CERT] = { "push-cert",
			      { "push-options", "session-id", "object-format", "agent" } },
	[PLACE_SESSION] = { "session-id", { "object-format", "agent" } },
	[PLACE_FORMAT] = { "object-format", { "agent" } },
};

/* The capability of a place as it stands for this repository, with what separates it; nothing when
 * there is none. */
static void
add_place(struct buf *b, enum place place, const struct fill *f)
{
	const struct advert_opts *o = f->opts;

	switch (place) {
	case PLACE_SYMREF:
		if (f->head && o->service == SERVICE_UPLOAD_PACK)
			buf_addf(b, " symref=HEAD:%s", f->refs->head_target);
		break;
	case PLACE_PUSH_CERT:
		if (o->push_cert_nonce != NULL && o->service == SERVICE_RECEIVE_PACK)
			buf_addf(b, " push-cert=%s", o->push_cert_nonce);
		break;
	case PLACE_SESSION:
		if (o->session_id != NULL)
			buf_addf(b, " session-id=%s", o->session_id);
		break;
	case PLACE_FORMAT:
		buf_addf(b, " object-format=%s", oid_name(f->refs->format));
		break;
	case N_PLACES:
		break;
	}
}

/* Does a capability of that name mark the place, because it is the one or comes after it? */
static bool
marks_place(enum place p, struct slice name)
{
	if (slice_eq_str(name, places[p].name))
		return true;
	for (size_t i = 0; places[p].before[i] != NULL; i++)
		if (slice_eq_str(name, places[p].before[i]))
			return true;
	return false;
}

/* The capabilities of v0 and v1, without a blank in front. */
static void
add_caps(struct buf *b, const struct fill *f)
{
	struct slice list = f->opts->caps;
	struct slice before = list;
	bool filled[N_PLACES] = { false };
	struct caps_item item;
	size_t begun = b->len;

	while (caps_next(&item, &list)) {
		struct slice word = slice_of(item.name.p, (size_t)(list.p - item.name.p));
		bool ours = false;

		for (unsigned p = 0; p < N_PLACES; p++) {
			if (!filled[p] && marks_place(p, item.name)) {
				add_place(b, p, f);
				filled[p] = true;
			}
			ours |= slice_eq_str(item.name, places[p].name);
		}
		/* no-done is for stateless transports alone */
		if (slice_eq_str(item.name, "no-done") && !f->opts->http)
			ours = true;
		if (!ours) {
			buf_add_byte(b, ' ');
			buf_add_slice(b, word);
		}
	}
	for (unsigned p = 0; p < N_PLACES && before.len > 0; p++)
		if (!filled[p])
			add_place(b, p, f);
	/* the first one began with a blank that is not wanted */
	if (buf_ok(b) && b->len > begun) {
		memmove(b->p + begun, b->p + begun + 1, b->len - begun - 1);
		b->len--;
	}
}

/* What the writer of v0 and v1 has in hand. */
struct writer {
	struct buf *b;
	struct fill fill;
	bool said_caps;
};

static void
add_line(struct writer *w, const struct oid *oid, const char *name, const char *behind)
{
	struct buf *b = w->b;
	size_t at = pktline_begin(b);

	oid_add(b, oid);
	buf_add_byte(b, ' ');
	buf_add_str(b, name);
	buf_add_str(b, behind);
	if (!w->said_caps) {
		buf_add_byte(b, '\0');
		add_caps(b, &w->fill);
		w->said_caps = true;
	}
	buf_add_byte(b, '\n');
	pktline_end(b, at);
}

static void
add_ref(struct writer *w, const struct reflist_item *ref)
{
	add_line(w, &ref->oid, ref->name, "");
	if (w->fill.opts->service == SERVICE_UPLOAD_PACK && ref->peeled.len > 0)
		add_line(w, &ref->peeled, ref->name, "^{}");
}

static void
add_v2(struct buf *b, const struct reflist *refs, const struct advert_opts *o)
{
	struct slice caps = o->caps;

	pktline_add_text(b, "version 2");
	while (caps.len > 0) {
		struct slice line = slice_cut(&caps, '\n');
		struct slice name = caps_line(line).name;

		if (slice_eq_str(name, "session-id"))
			continue; /* written below, behind object-format, as git has it */
		if (slice_eq_str(name, "object-format")) {
			pktline_addf(b, "object-format=%s\n", oid_name(refs->format));
			if (o->session_id != NULL)
				pktline_addf(b, "session-id=%s\n", o->session_id);
			continue;
		}
		pktline_addf(b, "%.*s\n", SLICE_ARG(line));
	}
	pktline_add_flush(b);
}

void
advert_add(struct buf *b, const struct reflist *refs, const struct advert_opts *o)
{
	struct writer w = { b, { refs, o, false }, false };
	struct reflist_item head;
	bool upload = o->service == SERVICE_UPLOAD_PACK;
	bool resolves = reflist_head(refs, &head);
	struct oid null = oid_null(refs->format);

	CHECK(upload || o->service == SERVICE_RECEIVE_PACK);
	if (o->version == VERSION_2) {
		CHECK(upload);
		add_v2(b, refs, o);
		return;
	}
	w.fill.head = resolves && refs->head_target != NULL;
	if (o->http) {
		pktline_addf(b, "# service=%s\n", service_name(o->service));
		pktline_add_flush(b);
	}
	if (o->version == VERSION_1)
		pktline_add_text(b, "version 1");
	if (upload && resolves)
		add_ref(&w, &head);
	for (size_t i = 0; i < refs->n; i++)
		add_ref(&w, refs->items[i]);
	if (!w.said_caps && (!upload || o->caps_when_empty))
		add_line(&w, &null, "capabilities^{}", "");
	pktline_add_flush(b);
}

void
advert_add_dumb(struct buf *b, const struct reflist *refs)
{
	for (size_t i = 0; i < refs->n; i++) {
		const struct reflist_item *ref = refs->items[i];

		oid_add(b, &ref->oid);
		buf_add_byte(b, '\t');
		buf_add_str(b, ref->name);
		buf_add_byte(b, '\n');
		if (ref->peeled.len == 0)
			continue;
		oid_add(b, &ref->peeled);
		buf_add_byte(b, '\t');
		buf_add_str(b, ref->name);
		buf_add_str(b, "^{}\n");
	}
}
