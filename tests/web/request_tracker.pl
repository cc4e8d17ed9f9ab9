# Request Tracker without its web pages, driven by lines on standard input: each is `ACTION USER [TEXT]`, and is answered
# with a line. The first argument is a file with the code of a scrip for every transaction. ann is an agent, bob a requestor.
use strict; use warnings;
use lib '/usr/share/request-tracker5/lib';
use RT; RT::LoadConfig(); RT::Init();
my ($scrip) = @ARGV;
local $/ = undef; open(my $file, '<', $scrip) or die "$scrip: $!"; my $code = <$file>; close $file; $/ = "\n";
my $system = RT->SystemUser;
my $new = RT::Scrip->new($system);
my ($id, $said) = $new->Create(Queue => 0, Description => 'slastream', ScripCondition => 'On Transaction',
  ScripAction => 'User Defined', Template => 'Blank', CustomPrepareCode => 'return 1;', CustomCommitCode => $code, Stage => 'TransactionCreate');
die $said unless $id;
for my $name (qw(ann bob)) {
  my $user = RT::User->new($system);
  ($id, $said) = $user->Create(Name => $name, EmailAddress => "$name\@example.com", Privileged => $name eq 'ann' ? 1 : 0);
  die $said unless $id;
}
my $agents = RT::Group->new($system); $agents->LoadSystemInternalGroup('Privileged');
$agents->PrincipalObj->GrantRight(Right => 'SuperUser', Object => RT->System);
my $everyone = RT::Group->new($system); $everyone->LoadSystemInternalGroup('Everyone');
$everyone->PrincipalObj->GrantRight(Right => $_, Object => RT->System) for qw(CreateTicket ReplyToTicket ShowTicket SeeQueue);
$| = 1; print "ready\n";
my $number;
while (my $line = <STDIN>) {
  chomp $line; my ($action, $name, $text) = split ' ', $line, 3;
  my $user = RT::CurrentUser->new($name);
  my $ticket = RT::Ticket->new($user); $ticket->Load($number) if $number;
  my $mime = MIME::Entity->build(Type => 'text/plain', Data => [$text // 'text']);
  my ($ok, @rest);
  if ($action eq 'create') { ($ok, @rest) = $ticket->Create(Queue => 'General', Subject => 'Mail is down', Requestor => "$name\@example.com", MIMEObj => $mime); $number = $ok }
  elsif ($action eq 'reply') { ($ok, @rest) = $ticket->Correspond(MIMEObj => $mime) }
  elsif ($action eq 'note') { ($ok, @rest) = $ticket->Comment(MIMEObj => $mime) }
  elsif ($action eq 'status') { ($ok, @rest) = $ticket->SetStatus($text) }
  elsif ($action eq 'take') { ($ok, @rest) = $ticket->Take }
  print $ok ? "$number\n" : "failed: @rest\n";
}
