# Identifiers are int8 everywhere: in paths, tokens, statements, keys, tags,
# notifications and by the operator's hand; whether the columns are, too, is
# the database's affair.

use strict;
use warnings;
use lib 't/lib';
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Live;

no_shuffle();
no_root_location();
master_on();
plan('no_plan');

our $SMALL = scratch('sf_ids_integer');
our $LARGE = scratch('sf_ids_bigint');

psql("ALTER TABLE $_->[0] ALTER $_->[1] TYPE bigint", dbname => $LARGE)
    for ['users', 'id'], ['campaigns', 'id'], ['campaigns', 'creator_id'],
        ['campaign_applications', 'campaign_id'], ['sns_posts', 'user_id'],
        ['subscriptions', 'user_id'];

# beyond int4, beyond what a double tells apart, and the last one

our @IDS = ('3000000000', '9007199254740993', '9223372036854775807');

for my $id (1, @IDS) {
    for my $db ($id == 1 ? $SMALL : (), $LARGE) {
        psql(<<"SQL", dbname => $db);
INSERT INTO users (id, email, password_hash, name, role, is_active)
VALUES ($id, '$id\@x.test', '!', 'User', 'user', true);
INSERT INTO subscriptions (user_id, product_id, plan_type, status)
SELECT $id, id, 'monthly', 'active' FROM products WHERE slug = 'review';
INSERT INTO campaigns (id, creator_id, title, product_name, category,
                       deadline, status, created_at)
VALUES ($id, $id, 'of $id', 'p', 'c', 'tomorrow', 'active', 'yesterday')
SQL
    }
}

install_notify($LARGE);

our $CAMPAIGN = '/api/review/campaigns';
our $MINE = '/api/review/my-campaigns';


# token($id): with the id as it stands there, which Perl's numbers are not

sub token {
    my ($id) = @_;

    my $input = join '.', map { MIME::Base64::encode_base64url($_) }
                '{"alg":"HS256"}', "{\"type\":\"access\",\"user_id\":$id}";

    return "$input." . MIME::Base64::encode_base64url(
        Digest::SHA::hmac_sha256($input, $SoftFactory::SECRET));
}


# seen($path, %o): status, where it comes from, and the titles in it

sub seen {
    my $res = get(@_);

    return join ' ', $res->{status}, $res->{headers}{'x-cache'} // 'none',
                     $res->{body} =~ /"title":"([^"]*)"/g;
}


defaults(
    http_config => conf(dbname => $LARGE, zone => 'api 8m') .
                   conf(dbname => $SMALL, name => 'small') .
                   "log_format user '\$request_uri|\$softfactory_user';\n",
    config => <<"CONF");
softfactory_jwt_secret "$SoftFactory::SECRET";
softfactory_token fixed user=9223372036854775807 products=review;
access_log logs/user.log user;
location /api/ { softfactory_pass primary; }
location /small/ {
    rewrite ^/small(/.*) \$1 break;
    softfactory_cache off;
    softfactory_pass small;
}
location = /status { softfactory_status api; }
location = /purge { softfactory_purge api; }
CONF

run_tests();

__DATA__

=== TEST 1: an id of int8 is found, kept apart and dropped by its own
--- check
wait_coherent();

for my $id (@::IDS) {
    my $token = token($id);

    is(seen("$::CAMPAIGN/$id", token => undef), "200 $_ of $id",
       "campaign $id: $_") for 'MISS', 'HIT';
    is(seen($::MINE, token => $token), "200 $_ of $id",
       "of user $id: $_") for 'MISS', 'HIT';
    is(seen($::MINE, token => token("\"$id\"")),
       $id == $::IDS[2] ? '401 BYPASS' : "200 HIT of $id",
       "user $id as text");
}

is(seen($::MINE, token => 'fixed'), "200 HIT of $::IDS[2]", 'a fixed token');

like(access_log('user.log'), qr/\|$_$/m, "user $_ in the log") for @::IDS;

# ids around it, which a double or 32 bits would take for it

for ('3000000001', '9007199254740992', '9007199254740994',
     '9223372036854775806', '-1294967296')
{
    is(seen($::MINE, token => token($_)), '401 BYPASS', "user $_");
}

is(seen("$::CAMPAIGN/$_", token => undef), '404 MISS', "campaign $_")
    for '3000000001', '9007199254740992', '9223372036854775806';
is(seen("$::CAMPAIGN/9223372036854775808", token => undef), '404 BYPASS',
   'campaign 2^63');

# a change, and the operator's hand

for my $id (@::IDS) {
    change("UPDATE campaigns SET title = 'new $id' WHERE id = $id",
           dbname => $::LARGE);

    is(seen("$::CAMPAIGN/$id", token => undef), "200 MISS new $id",
       "campaign $id has changed");
    is(seen("$::CAMPAIGN/$id", token => undef), "200 HIT new $id",
       'it is kept');
    is(seen("$::CAMPAIGN/" . ($id == $::IDS[0] ? $::IDS[1] : $::IDS[0]),
            token => undef) =~ /^200 (HIT|MISS)/ ? 1 : 0, 1, 'as the others');

    my $res = request('POST', "/purge?tag=campaigns.id=$id");

    is($res->{body} =~ s/\s+$//r, "{\"moved\":[\"campaigns id=$id\"]}",
       'it is purged');
    is(seen("$::CAMPAIGN/$id", token => undef), "200 MISS new $id",
       'so it is read anew');

    change("UPDATE users SET is_active = false WHERE id = $id",
           dbname => $::LARGE);
    is(seen($::MINE, token => token($id)), '401 BYPASS',
       "user $id is not active any more");
}

is(request('POST', "/purge?tag=campaigns.id=$_")->{status}, 400, "no tag: $_")
    for '9223372036854775808', '1' x 20, '+1', '1.0', '0x1';


=== TEST 2: where the columns are integers such an id finds no row
--- check
is(seen("/small$::CAMPAIGN/1", token => undef), '200 none of 1', 'there is one');
is(seen("/small$::MINE", token => token(1)), '200 none of 1', 'and a user');

for my $id (@::IDS) {
    is(seen("/small$::CAMPAIGN/$id", token => undef), '404 none',
       "campaign $id");
    is(seen("/small$::MINE", token => token($id)), '401 none', "user $id");
}
