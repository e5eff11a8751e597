#include "shard-map/ctl/repo_place.h"

#include "shard-map/commitlog/map_follow.h"

int
repo_place_parse(struct smart_path_repo *repo, struct ctl *c, const char *word, struct err *err)
{
	int rc = smart_path_repo_parse(repo, slice_str(word), err);

	if (rc < 0) {
		c->usage = true;
		err_prefix(err, "%.100s", word);
	}
	return rc;
}

int
repo_place_directory(struct directory **out, struct ctl *c, struct err *err)
{
	struct directory *d = directory_new();
	int rc = map_follow_read_directory(d, c->map, c->log, err);

	if (rc < 0)
		directory_free(&d);
	*out = d;
	return rc;
}

int
repo_place_find(struct repo_place *p, struct ctl *c, const char *word, struct err *err)
{
	struct directory *d;
	uint32_t kept;
	int rc = repo_place_parse(&p->repo, c, word, err);

	if (rc == 0 && c->map == NULL)
		rc = ctl_load_map(c, err);
	if (rc == 0)
		rc = repo_place_directory(&d, c, err);
	if (rc < 0)
		return rc;
	p->shard = directory_shard(d, c->map, slice_str(p->repo.path));
	p->by_directory = directory_find(d, slice_str(p->repo.path), &kept);
	directory_free(&d);
	return 0;
}
