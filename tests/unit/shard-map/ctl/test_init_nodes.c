#include "shard-map/ctl/init_nodes.h"

#include "tests/unit/shard-map/ctl/stub_node.h"

static int
parse(struct init_nodes *in, const char *spec, struct err *err)
{
	struct opt_list l = { &spec, 1 };

	return init_nodes_parse(in, &l, err);
}

static void
test_parse(void **state)
{
	static const struct {
		const char *spec, *name, *addr, *admin, *zone;
		uint32_t weight;
		const char *words; /* NULL: it is right */
	} cases[] = {
		{ "n1=h:1,h:2", "n1", "h:1", "h:2", "", 1, NULL },
		{ "n1=h:1,h:2,zone=a,weight=7", "n1", "h:1", "h:2", "a", 7, NULL },
		{ "n1=[::1]:1,[::1]:2,weight=2,zone=b", "n1", "[::1]:1", "[::1]:2", "b", 2, NULL },
		{ "h:2", "", "", "h:2", "", 1, NULL },
		{ "h:2,zone=a", "", "", "h:2", "a", 1, NULL },
		{ "", NULL, NULL, NULL, NULL, 0, "no admin address" },
		{ "n1", NULL, NULL, NULL, NULL, 0, "no admin address" },
		{ "n1=h:1", NULL, NULL, NULL, NULL, 0, "no admin address" },
		{ "n1=h,h:2", NULL, NULL, NULL, NULL, 0, "no back-plane address" },
		{ "N1=h:1,h:2", NULL, NULL, NULL, NULL, 0, "name must be" },
		{ "=h:1,h:2", NULL, NULL, NULL, NULL, 0, "name must be" },
		{ "n1=h:1,h:2,zone=A", NULL, NULL, NULL, NULL, 0, "zone must be" },
		{ "n1=h:1,h:2,weight=0", NULL, NULL, NULL, NULL, 0, "weight must be" },
		{ "n1=h:1,h:2,weight=x", NULL, NULL, NULL, NULL, 0, "weight must be" },
		{ "n1=h:1,h:2,colour=red", NULL, NULL, NULL, NULL, 0, "is not understood" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct init_nodes in;
		struct err err = { 0 };
		int rc = parse(&in, cases[i].spec, &err);

		if (cases[i].words != NULL) {
			assert_int_equal(rc, ERR_BAD);
			if (strstr(err.text, cases[i].words) == NULL)
				fail_msg("case %u: %s", i, err.text);
		} else {
			assert_int_equal(rc, 0);
			assert_string_equal(in.nodes[0].name, cases[i].name);
			assert_string_equal(in.nodes[0].addr, cases[i].addr);
			assert_string_equal(in.nodes[0].admin, cases[i].admin);
			assert_string_equal(in.nodes[0].zone, cases[i].zone);
			assert_int_equal(in.nodes[0].weight, cases[i].weight);
		}
		init_nodes_release(&in);
	}
}

#define IDENTITY(node, digit, listen)                                                  \
	"{\"cluster\":\"test\",\"node\":\"" node                                       \
	"\",\"incarnation\":\"0000000000000000000000000000000" digit "\",\"start\":1," \
	"\"map_version\":0,\"listen\":\"" listen "\"}"

static void
test_ask(void **state)
{
	struct stub_answer first[] = { { "GET /v1/identity", 200, IDENTITY("b", "1", "h:1"), 0 },
				       { NULL, 0, NULL, 0 } };
	struct stub_answer second[] = { { "GET /v1/identity", 200, IDENTITY("a", "2", "h:2"), 0 },
					{ NULL, 0, NULL, 0 } };
	struct stub_node one, two;
	char spec[64];
	const char *specs[2];
	struct opt_list l = { specs, 2 };
	struct init_nodes in;
	struct err err = { 0 };

	(void)state;
	stub_start(&one, first);
	stub_start(&two, second);
	snprintf(spec, sizeof(spec), "a=other:9,%s", two.addr);
	specs[0] = one.addr;
	specs[1] = spec;
	assert_int_equal(init_nodes_parse(&in, &l, &err), 0);
	assert_int_equal(init_nodes_ask(&in, "test", 5000, &err), 0);
	/* By name, whatever the order. */
	assert_string_equal(in.nodes[0].name, "a");
	assert_string_equal(in.nodes[0].addr, "other:9");
	assert_int_equal(in.nodes[0].id, 1);
	assert_int_equal(in.incarnations[0][15], 2);
	assert_string_equal(in.nodes[1].name, "b");
	assert_string_equal(in.nodes[1].addr, "h:1");
	assert_int_equal(in.nodes[1].id, 2);
	init_nodes_release(&in);
	stub_stop(&one);
	stub_stop(&two);
}

static void
test_refused(void **state)
{
	static const struct {
		const char *body, *name, *words;
	} cases[] = {
		{ IDENTITY("b", "1", "h:1"), "a=h:1,", "it is node 'b', not 'a'" },
		{ IDENTITY("b", "1", "0.0.0.0:1"), "",
		  "which others cannot call; write --node b=" },
		{ IDENTITY("b", "1", ""), "", "which others cannot call" },
		{ IDENTITY("b", "x", "h:1"), "", "names no incarnation" },
		{ "{\"cluster\":\"other\"}", "", "of cluster 'other', not of 'test'" },
		{ "hello", "", "is it started" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct stub_answer answers[] = { { "GET", 200, cases[i].body, 0 },
						 { NULL, 0, NULL, 0 } };
		struct stub_node node;
		char spec[64];
		struct init_nodes in;
		struct err err = { 0 };

		stub_start(&node, answers);
		snprintf(spec, sizeof(spec), "%s%s", cases[i].name, node.addr);
		assert_int_equal(parse(&in, spec, &err), 0);
		assert_true(init_nodes_ask(&in, "test", 5000, &err) < 0);
		if (strstr(err.text, cases[i].words) == NULL)
			fail_msg("case %u: %s", i, err.text);
		init_nodes_release(&in);
		stub_stop(&node);
	}
}

static void
test_same_disk(void **state)
{
	struct stub_answer first[] = { { "GET", 200, IDENTITY("a", "1", "h:1"), 0 },
				       { NULL, 0, NULL, 0 } };
	struct stub_answer second[] = { { "GET", 200, IDENTITY("b", "1", "h:2"), 0 },
					{ NULL, 0, NULL, 0 } };
	struct stub_node one, two;
	const char *specs[2];
	struct opt_list l = { specs, 2 };
	struct init_nodes in;
	struct err err = { 0 };

	(void)state;
	stub_start(&one, first);
	stub_start(&two, second);
	specs[0] = one.addr;
	specs[1] = two.addr;
	assert_int_equal(init_nodes_parse(&in, &l, &err), 0);
	assert_int_equal(init_nodes_ask(&in, "test", 5000, &err), ERR_BAD);
	assert_non_null(strstr(err.text, "the same incarnation"));
	init_nodes_release(&in);
	stub_stop(&one);
	stub_stop(&two);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_ask),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_same_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
