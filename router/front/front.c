#include "router/front/front.h"

#include "gitproto/base/mem.h"
#include "router/front/req.h"

struct front {
	struct http_server *server; /* owned */
	struct req_env env;         /* what its requests need */
};

static void
on_request(struct http_xchg *x, void *arg)
{
	struct front *f = arg;

	req_new(&f->env, x);
}

int
front_new(struct front **out, const struct front_opts *o, struct err *err)
{
	struct front *f = MEM_NEW(struct front);
	struct http_server_opts so = {
		.listen = o->listen,
		.reuse_port = o->reuse_port,
		.insecure = o->insecure,
		.body_msec = (unsigned)MIN(o->stall_msec, (uint64_t)UINT32_MAX),
		.handler = on_request,
		.arg = f,
	};
	int rc;

	f->env = (struct req_env){
		.loop = o->loop,
		.route = o->route,
		.admit = o->admit,
		.stats = o->stats,
		.retry_msec = o->retry_msec,
		.stall_msec = o->stall_msec,
	};
	rc = http_server_new(&f->server, o->loop, &so, err);
	if (rc < 0) {
		free(f);
		return rc;
	}
	*out = f;
	return 0;
}

void
front_free(struct front **fp)
{
	struct front *f = *fp;

	if (f == NULL)
		return;
	*fp = NULL;
	http_server_free(&f->server);
	free(f);
}

const char *
front_addr(const struct front *f)
{
	return http_server_addr(f->server);
}

void
front_drain(struct front *f)
{
	http_server_drain(f->server);
}

unsigned
front_active(const struct front *f)
{
	return http_server_active(f->server);
}
